//! `vpcflow playground`: the page that shows what the parser does, served from this binary.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use vpcflow_modules::PLAYGROUND;

use crate::http::{listen_address, serve};
use crate::sink::tell;

/// Show in a browser what becomes of flow logs: events, rejects, charts
///
/// The parser runs in the page. What is pasted or dropped there is not sent anywhere, to this process neither.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Serve the page here; a port alone listens on loopback, and port 0 is any that is free
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "127.0.0.1:8017", value_parser = listen_address)]
    listen: SocketAddr,

    /// Open the page in the browser
    #[arg(long)]
    open: bool,

    /// Instead of serving the page, write its files to FOLDER, for any static web host
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["listen", "open"])]
    write: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow playground --open
  vpcflow playground --listen 0
  vpcflow playground --write public/";

/// Nothing but the page's own files, and WebAssembly; no frame around it; and isolated from other pages.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-embedder-policy"), HeaderValue::from_static("require-corp")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    // Another build has other files under the same names.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(
            !PLAYGROUND.is_empty(),
            "this vpcflow was built without the playground's page, for which npm of Node.js 20 or later must be able to \
             install packages: a build where it is says why it could not"
        );
        match &self.write {
            Some(folder) => write(folder)?,
            None => self.serve()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn serve(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind(self.listen).await;
            let listener = listener.with_context(|| format!("--listen {}: cannot listen there", self.listen))?;
            let url = format!("http://{}/", listener.local_addr()?);
            tell(format_args!("the playground is at {url} until Ctrl-C"));
            if self.open
                && let Err(error) = open::that_detached(&url)
            {
                tell(format_args!("no browser could be started ({error}): open {url} in one"));
            }
            match serve(listener, answer).await {}
        })
    }
}

fn write(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, bytes) in PLAYGROUND {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let name = match request.uri().path() {
        "/" => "index.html",
        path => &path[1..],
    };
    let file = PLAYGROUND.iter().find(|(file, _)| *file == name);
    let (status, content_type, body) = match (request.method(), file) {
        (&Method::GET | &Method::HEAD, Some((name, bytes))) => (StatusCode::OK, content_type(name), *bytes),
        (&Method::GET | &Method::HEAD, None) => (StatusCode::NOT_FOUND, TEXT, &b"there is no such file\n"[..]),
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, &b"only GET and HEAD\n"[..]),
    };
    // To HEAD, hyper sends the length and no body.
    let mut response = Response::new(Full::new(Bytes::from_static(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

fn content_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        _ => TEXT,
    }
}
