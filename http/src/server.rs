//! What is around all routes, and serving.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;

use crate::bounded::Around;
pub use crate::operations::{Operations, Readiness, operations};
use crate::peer::Peer;
use crate::problem::Problem;
use crate::stall::Impatient;

/// A reader that takes nothing for so long is gone, or means harm.
const STALLED: Duration = Duration::from_secs(60);

/// Limits on every request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest that an answer may take, up to its head.
    pub timeout: Duration,
}

/// Puts around all routes: body limit, timeout, request ids, measurements, and
/// problems instead of bare errors.
pub fn layered(router: Router, limits: Limits) -> Router {
    router
        .fallback(|| async { Problem::not_found("there is no such route") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This route has no such method",
            )
        })
        .layer(Around::new(limits))
}

/// Serves `router` until `stop` is done, then finishes what is under way. A
/// connection whose reader takes nothing for a minute is given up.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    use axum::serve::ListenerExt;

    // Small answers go out at once.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(Impatient::new(listener, STALLED), service).with_graceful_shutdown(stop).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::header;
    use axum::response::Response;
    use axum::routing::{get, post};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;

    use super::*;
    use crate::bounded::REQUEST_ID;

    const LIMITS: Limits = Limits { body_bytes: 8, timeout: Duration::from_secs(30) };

    fn router() -> Router {
        let never = || async { std::future::pending::<()>().await };
        #[allow(clippy::unused_async, reason = "a handler")]
        async fn panicking() -> &'static str {
            panic!("the password is 1234")
        }
        let router = Router::new()
            .route("/things/{thing}", get(|| async { "a thing" }))
            .route(
                "/echo",
                post(|body: crate::body::Json<serde_json::Value>| async move { body.0.to_string() }),
            )
            .route("/never", get(never))
            .route("/panics", get(panicking));
        layered(router, LIMITS)
    }

    async fn send(request: Request<Body>) -> Response {
        router().oneshot(request).await.unwrap()
    }

    async fn get_at(uri: &str) -> Response {
        send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    async fn problem(response: Response) -> serde_json::Value {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn an_unknown_route_and_a_wrong_method_are_problems() {
        assert_eq!(problem(get_at("/nowhere").await).await["status"], 404);
        let response = send(Request::delete("/things/1").body(Body::empty()).unwrap()).await;
        assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
        assert_eq!(problem(response).await["type"], "urn:usher:problem:method-not-allowed");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_leaks_nothing() {
        let problem = problem(get_at("/panics").await).await;
        assert_eq!(problem["status"], 500);
        assert!(!problem.to_string().contains("1234"), "{problem}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_again() {
        let response = get_at("/never").await;
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(problem(response).await["type"], "urn:usher:problem:timed-out");
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_413() {
        let request = Request::post("/echo").header(header::CONTENT_TYPE, "application/json");
        let response = send(request.body(Body::from("[1, 2, 3, 4, 5]")).unwrap()).await;
        assert_eq!(problem(response).await["status"], 413);
    }

    #[tokio::test]
    async fn every_answer_names_its_request_by_the_callers_id_or_a_new_one() {
        let answer = |id: &'static str| async move {
            let request = Request::get("/things/1").header(REQUEST_ID, id);
            send(request.body(Body::empty()).unwrap()).await.headers()[REQUEST_ID].clone()
        };
        assert_eq!(answer("a-1_B.2").await, "a-1_B.2");
        assert_ne!(answer("not a plain one").await, "not a plain one");
        assert_eq!(get_at("/nowhere").await.headers()[REQUEST_ID].len(), 16);
    }

    #[test]
    fn requests_are_counted_by_route_and_never_by_what_strangers_write() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                get_at("/things/secret-1").await;
                get_at("/secret-2").await;
                send(Request::builder().method("SECRET3").uri("/things/1").body(Body::empty()).unwrap())
                    .await;
            });
        });
        let metrics = handle.render();
        assert!(metrics.contains(r#"method="GET",route="/things/{thing}",status="200""#), "{metrics}");
        assert!(metrics.contains(r#"method="other",route="/things/{thing}",status="405""#), "{metrics}");
        assert!(metrics.contains(r#"method="GET",route="none",status="404""#), "{metrics}");
        assert!(!metrics.to_lowercase().contains("secret"), "{metrics}");
    }

    /// A request over a connection, and its whole answer.
    async fn ask(address: std::net::SocketAddr) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_handler_knows_who_is_at_the_other_end() {
        use axum::extract::ConnectInfo;
        let who = |ConnectInfo(Peer(address)): ConnectInfo<Peer>| async move { address.to_string() };
        let router = layered(Router::new().route("/", get(who)), LIMITS);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, router, std::future::pending()));
        assert!(ask(address).await.ends_with("127.0.0.1"));
    }

    #[tokio::test]
    async fn a_request_under_way_is_finished_before_the_server_ends() {
        let (entered, go) = (
            std::sync::Arc::new(tokio::sync::Notify::new()),
            std::sync::Arc::new(tokio::sync::Notify::new()),
        );
        let (told, wait) = (entered.clone(), go.clone());
        let handler = move || async move {
            told.notify_one();
            wait.notified().await;
            "finished"
        };
        let router = layered(Router::new().route("/", get(handler)), LIMITS);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = std::sync::Arc::new(tokio::sync::Notify::new());
        let stopped = stop.clone();
        let server = tokio::spawn(serve(listener, router, async move { stopped.notified().await }));
        let asked = tokio::spawn(ask(address));
        entered.notified().await;
        stop.notify_one();
        go.notify_one();
        assert!(asked.await.unwrap().ends_with("finished"));
        server.await.unwrap().unwrap();
    }
}
