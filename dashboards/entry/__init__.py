"""The page of entry by hand: values of meters, and figures of production."""
