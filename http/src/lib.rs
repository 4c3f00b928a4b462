//! What every role's HTTP shares: problem documents, authentication, health.
