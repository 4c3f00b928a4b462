//! Entity tags: an answer that the caller has already is not sent again.

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use usher_events::ids::Hash;

/// The strong tag of these bytes.
pub fn of(body: &[u8]) -> HeaderValue {
    let hash = Hash(Sha256::digest(body).into()).to_string();
    HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` has this tag: a list, `*`, and the weak comparison
/// of RFC 9110, section 13.1.2.
pub fn matches(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let listed = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = listed.flat_map(|list| list.split(',')).map(str::trim);
    let wanted = etag.to_str().unwrap_or_default();
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_list_several_tags_weak_ones_or_any() {
        let etag = of(b"the seats");
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            matches(&headers, &etag)
        };
        let tag = etag.to_str().unwrap();
        assert!(
            asked(tag) && asked(&format!("\"other\", {tag}")) && asked(&format!("W/{tag}")) && asked("*")
        );
        assert!(!asked("\"other\"") && !asked(""));
        assert!(!matches(&HeaderMap::new(), &etag));
    }
}
