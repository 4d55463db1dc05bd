"""Forms: what people fill in, as text, made into notices: values of meters, and figures of production."""
