//! Decides: the opening's aggregate, the writer, and the HTTP of commands.
