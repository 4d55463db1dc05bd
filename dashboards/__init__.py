"""The pages people see: Streamlit draws what named questions answer, and computes nothing."""
