//! A client of JSON-RPC over a unix socket, with one connection for each call.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};

use super::fault::NAME;
use crate::{
    boxed::BoxError,
    lightning::{NodeError, NodeErrorKind},
};

/// How long a call may take that waits for nobody but the node itself.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// The longest answer, in bytes.
const LONGEST: usize = 1024 * 1024;

/// How long to wait before the next attempt if too many connections wait at the socket.
const BUSY: Duration = Duration::from_millis(5);

/// The reason why a call has no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// No connection: the node has not seen the call.
    Unsent(io::Error),
    /// The node may have seen the call, and there is no answer.
    Lost(BoxError),
    /// The node answered with an error.
    Refused { code: i64, message: String },
    /// The answer cannot be used.
    Unreadable(BoxError),
}

impl From<Fault> for NodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unsent(error) => Self::new(NodeErrorKind::Unreachable, NAME, error),
            Fault::Lost(error) => Self::new(NodeErrorKind::Unreachable, NAME, error),
            Fault::Refused { code, message } => Self::new(
                NodeErrorKind::Refused,
                NAME,
                format!("{message} (code {code})"),
            ),
            Fault::Unreadable(error) => Self::new(NodeErrorKind::BadAnswer, NAME, error),
        }
    }
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'a str,
    id: &'a str,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
struct Answer<T> {
    id: String,
    result: Option<T>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

/// Calls a method of the node, and waits at most `limit` for its result. `None` waits until the node
/// answers or goes away.
pub(super) async fn call<T: DeserializeOwned>(
    socket: &Path,
    method: &str,
    params: impl Serialize,
    limit: Option<Duration>,
) -> Result<T, Fault> {
    let id = format!("tower-x402:{method}");
    let request = serde_json::to_vec(&Request {
        jsonrpc: "2.0",
        id: &id,
        method,
        params,
    });
    let request = request.map_err(|error| Fault::Unsent(error.into()))?;
    let connected = timeout(limit.unwrap_or(ANSWER), connect(socket)).await;
    let mut stream = connected
        .unwrap_or_else(|_| {
            let why = "the socket accepts no connection";
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
        .map_err(Fault::Unsent)?;
    let answer = async {
        stream.write_all(&request).await?;
        read(&mut stream).await
    };
    let answer = match limit {
        Some(limit) => timeout(limit, answer).await.map_err(|_| {
            Fault::Lost(format!("no answer to {method} within {} seconds", limit.as_secs()).into())
        })?,
        None => answer.await,
    };
    let answer = answer.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Fault::Unreadable(error.into()),
        _ => Fault::Lost(error.into()),
    })?;
    parse(&id, &answer)
}

/// Connects. If more connections wait than the node's queue holds, it tries again.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(BUSY).await,
            connected => return connected,
        }
    }
}

/// Reads one answer, which an empty line ends.
async fn read(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the node closed the connection before its answer was complete",
            ));
        }
        if answer.ends_with(b"\n\n") {
            return Ok(answer);
        }
        if answer.len() > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an answer is longer than 1 MiB",
            ));
        }
    }
}

fn parse<T: DeserializeOwned>(id: &str, answer: &[u8]) -> Result<T, Fault> {
    // The error of serde_json can quote what it read, so only its position is reported.
    let answer: Answer<T> = serde_json::from_slice(answer).map_err(|error| {
        Fault::Unreadable(
            format!(
                "expected the answer that the documentation describes, at line {}, column {}",
                error.line(),
                error.column()
            )
            .into(),
        )
    })?;
    if answer.id != id {
        return Err(Fault::Unreadable("the answer is to another call".into()));
    }
    match (answer.result, answer.error) {
        (Some(result), None) => Ok(result),
        (None, Some(Refusal { code, message })) => Err(Fault::Refused {
            code,
            message: message.chars().take(300).collect(),
        }),
        _ => Err(Fault::Unreadable("expected a result or an error".into())),
    }
}
