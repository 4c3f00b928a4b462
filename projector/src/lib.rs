//! Remembers: queue views and booking views.
