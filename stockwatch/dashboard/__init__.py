"""The page: a child process with Streamlit. It knows two addresses, the store's and health's."""
