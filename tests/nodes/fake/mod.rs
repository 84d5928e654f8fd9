//! Servers of ours that speak the protocols of nodes, in this process, and that can answer wrongly.

pub(crate) mod faults;
pub(crate) mod ledger;
pub(crate) mod lnbits;
pub(crate) mod lnd;
pub(crate) mod phoenixd;

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::{CONTENT_LENGTH, HeaderMap},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// What the server does in place of its answer, to requests whose path contains a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// An answer of another program: this status, and HTML.
    Status(u16),
    /// 200, and no JSON.
    Garbage,
    /// The head and a part of the body, and then the end of the connection.
    Half,
    /// The end of the connection without an answer, after the request was carried out.
    Lost,
    /// No answer at all.
    Silent,
    /// What Go's server says to plain HTTP if it speaks TLS.
    PlainToTls,
    /// 200 and a body of two mebibytes.
    Long,
}

/// A request, as the fake node sees it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The answer of a fake node: one text, or lines as they come.
pub(crate) enum Answer {
    Text(u16, String),
    Lines(mpsc::UnboundedReceiver<String>),
}

pub(crate) trait Protocol: Send + Sync + 'static {
    fn answer(&self, asked: &Asked) -> Answer;
}

/// A running server. It stops when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    task: Mutex<JoinHandle<()>>,
    /// Keeps the port while nothing listens on it.
    _port: Socket,
}

struct Shared {
    protocol: Arc<dyn Protocol>,
    fault: Mutex<Option<(&'static str, Fault)>>,
    seen: Mutex<Vec<String>>,
    /// How many requests wait in [`Fault::Silent`], or are held.
    silent: watch::Sender<usize>,
    /// The text in the path of the next request that is held, and what ends that.
    held: Mutex<Option<(&'static str, oneshot::Receiver<()>)>>,
}

impl Server {
    pub(crate) async fn start(protocol: Arc<dyn Protocol>, tls: Option<Tls>) -> Self {
        let port = bind("127.0.0.1:0".parse().unwrap());
        let address = port.local_addr().unwrap().as_socket().unwrap();
        let shared = Arc::new(Shared {
            protocol,
            fault: Mutex::new(None),
            seen: Mutex::new(Vec::new()),
            silent: watch::Sender::new(0),
            held: Mutex::new(None),
        });
        let tls = tls.map(|tls| tls.0);
        let task = tokio::spawn(accept(listen(address), tls.clone(), shared.clone()));
        Self {
            address,
            shared,
            tls,
            task: Mutex::new(task),
            _port: port,
        }
    }

    /// Ends as a killed process does: connections break, and new ones are refused.
    pub(crate) async fn down(&self) {
        let task = {
            let mut task = self.task.lock().unwrap();
            std::mem::replace(&mut *task, tokio::spawn(async {}))
        };
        task.abort();
        let _ = task.await;
    }

    /// Listens again on the same port.
    pub(crate) async fn up(&self) {
        self.down().await;
        let accepting = accept(listen(self.address), self.tls.clone(), self.shared.clone());
        *self.task.lock().unwrap() = tokio::spawn(accepting);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the fault of the paths that contain a text, from now on.
    pub(crate) fn fault(&self, path: &'static str, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some((path, fault));
    }

    pub(crate) fn no_fault(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// The requests so far: method and path.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Holds the answer to the next request whose path contains a text, until the sender is used or dropped.
    pub(crate) fn hold_next(&self, path: &'static str) -> oneshot::Sender<()> {
        let (release, held) = oneshot::channel();
        *self.shared.held.lock().unwrap() = Some((path, held));
        release
    }

    /// Waits until this many requests wait for an answer that never comes, or that is held.
    pub(crate) async fn waiting(&self, requests: usize) {
        let mut silent = self.shared.silent.subscribe();
        silent.wait_for(|now| *now >= requests).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.lock().unwrap().abort();
    }
}

pub(crate) struct Tls(tokio_rustls::TlsAcceptor);

impl Tls {
    /// Reads a certificate of the folder `tests/fixtures/tls`.
    pub(crate) fn of(certificate: &str) -> Self {
        use rustls::{
            ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(pem(certificate)).unwrap()],
                PrivateKeyDer::from_pem_file(pem("key")).unwrap(),
            )
            .unwrap();
        Self(Arc::new(config).into())
    }
}

pub(crate) fn pem(name: &str) -> String {
    format!(
        "{}/tests/fixtures/tls/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    )
}

fn bind(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = bind(address);
    socket.listen(1_024).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

async fn accept(
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    shared: Arc<Shared>,
) {
    // Connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        connections.spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
                None => serve(stream, shared).await,
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { answer(&shared, request).await }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new());
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Body = BoxBody<Bytes, io::Error>;

async fn answer(shared: &Shared, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.collect().await.map_err(io::Error::other)?.to_bytes(),
    };
    shared
        .seen
        .lock()
        .unwrap()
        .push(format!("{} {}", asked.method, asked.path));
    let held = {
        let mut held = shared.held.lock().unwrap();
        held.take_if(|(path, _)| asked.path.contains(*path))
    };
    if let Some((_, release)) = held {
        shared.silent.send_modify(|now| *now += 1);
        let _ = release.await;
    }
    let fault = *shared.fault.lock().unwrap();
    let fault = fault
        .filter(|(path, _)| asked.path.contains(path))
        .map(|(_, fault)| fault);
    match fault {
        Some(Fault::Silent) => {
            shared.silent.send_modify(|now| *now += 1);
            pending().await
        }
        Some(Fault::Status(status)) => return Ok(text(status, "<html>a proxy</html>".to_owned())),
        Some(Fault::PlainToTls) => {
            let said = "Client sent an HTTP request to an HTTPS server.\n";
            return Ok(text(400, said.to_owned()));
        }
        Some(Fault::Garbage) => return Ok(text(200, "not json".to_owned())),
        Some(Fault::Long) => return Ok(text(200, " ".repeat(2 * 1024 * 1024))),
        _ => {}
    }
    let answer = shared.protocol.answer(&asked);
    if fault == Some(Fault::Lost) {
        return Err(io::Error::other("lost"));
    }
    Ok(match answer {
        Answer::Text(status, body) if fault == Some(Fault::Half) => {
            let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
            let end = io::Error::other("the other half");
            let parts = stream::iter([Ok(Frame::data(half)), Err(end)]);
            let mut response = Response::new(BodyExt::boxed(StreamBody::new(parts)));
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, body.len().into());
            *response.status_mut() = status.try_into().unwrap();
            response
        }
        Answer::Text(status, body) => text(status, body),
        Answer::Lines(lines) => {
            let lines = stream::unfold(lines, async |mut lines| {
                let line = lines.recv().await?;
                Some((line, lines))
            });
            let half = fault == Some(Fault::Half);
            let frames = lines.map(move |line| match half {
                true => Ok(Frame::data(Bytes::copy_from_slice(
                    &line.as_bytes()[..line.len() / 2],
                ))),
                false => Ok(Frame::data(Bytes::from(line + "\n"))),
            });
            Response::new(BodyExt::boxed(StreamBody::new(Box::pin(frames))))
        }
    })
}

fn text(status: u16, body: String) -> Response<Body> {
    let body = http_body_util::Full::new(Bytes::from(body));
    let mut response = Response::new(BodyExt::boxed(
        body.map_err(|error: Infallible| match error {}),
    ));
    *response.status_mut() = status.try_into().unwrap();
    response
}
