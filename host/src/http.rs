//! A small HTTP server: for metrics, and for the playground's page.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What `--metrics-listen` and `--listen` take. A port alone is one of loopback.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = if text.parse::<u16>().is_ok() { format!("127.0.0.1:{text}") } else { text.to_owned() };
    address.parse().map_err(|_| "wanted an address and a port as in 127.0.0.1:9464, or a port".into())
}

/// Answers every request, for as long as the future is polled.
pub(crate) fn serve<A>(listener: TcpListener, answer: A) -> impl Future<Output = Infallible>
where
    A: Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, which passes.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let response = answer(&request);
                    async { Ok::<_, Infallible>(response) }
                });
                // A client that goes away does not matter.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}
