//! How long requests take, by method, route and status.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use metrics::Histogram;

/// The histograms of request times. Each is looked up by its labels once, and
/// kept: that costs more than all else of measuring. There are as many as
/// routes, methods and statuses together.
#[derive(Default)]
pub(crate) struct Times {
    by_route: RwLock<HashMap<Box<str>, Vec<Known>>>,
}

struct Known {
    method: &'static str,
    status: StatusCode,
    histogram: Histogram,
}

impl Times {
    /// Counts one request.
    pub(crate) fn record(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        if !self.record_known(method, route, status, took) {
            self.add(method, route, status).record(took.as_secs_f64());
        }
    }

    fn record_known(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) -> bool {
        let by_route = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
        let known = by_route.get(route).map(Vec::as_slice).unwrap_or_default();
        let found = known.iter().find(|known| known.method == method && known.status == status);
        found.inspect(|known| known.histogram.record(took.as_secs_f64())).is_some()
    }

    fn add(&self, method: &'static str, route: &str, status: StatusCode) -> Histogram {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        let histogram = metrics::histogram!("usher_http_request_seconds", &labels);
        let mut by_route = self.by_route.write().unwrap_or_else(PoisonError::into_inner);
        let known = Known { method, status, histogram: histogram.clone() };
        by_route.entry(route.into()).or_default().push(known);
        histogram
    }
}
