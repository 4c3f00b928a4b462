//! The role that analysts sign in with.

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Executor};

/// What a role that usher made says of itself.
const MADE_HERE: &str = "Made by usher migrate: reads the views of the schema analytics.";

/// The role's usual name.
pub const ANALYST: &str = "usher_analyst";

/// Why the role is not there.
#[derive(Debug, thiserror::Error)]
pub enum AnalystError {
    /// Not a name for a role: choose another.
    #[error("`{0}` is no name for a role: small letters, digits and `_`, at most 63, and a letter first")]
    Name(String),
    /// Somebody else's role has the name: choose another.
    #[error("the role `{0}` is there already, and not made by `usher migrate`: it is left as it is")]
    Taken(String),
    /// The database refused, or is away.
    #[error("Postgres: {0}")]
    Postgres(#[from] sqlx::Error),
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(plain)
}

/// Makes the role `name`, or brings it up to date: it reads the views of
/// `analytics` and nothing else, writes nothing, and no statement of it takes
/// longer than half a minute or keeps a transaction open for longer than one.
/// It has no password until somebody gives it one, e.g. by `\password` in
/// psql. Safe to repeat; a role that was not made here is refused, and not
/// changed. The caller's role needs CREATEROLE, and to own the views.
pub async fn let_analyst_in(pool: &PgPool, name: &str) -> Result<(), AnalystError> {
    if !is_name(name) {
        return Err(AnalystError::Name(name.to_owned()));
    }
    let mut transaction = pool.begin().await?;
    // Two at once would both find no role.
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext('usher analyst'))").await?;
    let known = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
    let known: Option<Option<String>> =
        sqlx::query_scalar(known).bind(name).fetch_optional(&mut *transaction).await?;
    match known {
        None => {
            let create = format!("CREATE ROLE {name} LOGIN CONNECTION LIMIT 10");
            transaction.execute(AssertSqlSafe(create)).await?;
            let sign = format!("COMMENT ON ROLE {name} IS '{MADE_HERE}'");
            transaction.execute(AssertSqlSafe(sign)).await?;
        }
        Some(Some(says)) if says == MADE_HERE => {}
        Some(_) => return Err(AnalystError::Taken(name.to_owned())),
    }
    let views = "SELECT viewname::text FROM pg_views WHERE schemaname = 'analytics' ORDER BY viewname";
    let views: Vec<String> = sqlx::query_scalar(views).fetch_all(&mut *transaction).await?;
    let views: Vec<String> = views.iter().map(|view| format!("analytics.{view}")).collect();
    for statement in [
        format!("ALTER ROLE {name} SET statement_timeout = '30s'"),
        format!("ALTER ROLE {name} SET idle_in_transaction_session_timeout = '60s'"),
        format!("ALTER ROLE {name} SET default_transaction_read_only = on"),
        format!("ALTER ROLE {name} SET search_path = analytics"),
        format!("GRANT USAGE ON SCHEMA analytics TO {name}"),
        format!("GRANT SELECT ON {} TO {name}", views.join(", ")),
    ] {
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_s_name_needs_no_quotes() {
        assert!([ANALYST, "a", "bi_2"].into_iter().all(is_name));
        let long = "a".repeat(64);
        assert!(!["", "2nd", "_x", "Ann", "a b", "a\"; DROP", "ä", &long].into_iter().any(is_name));
    }
}
