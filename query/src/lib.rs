//! Answers: the HTTP of queries.
