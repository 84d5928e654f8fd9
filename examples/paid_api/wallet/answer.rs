use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_x402::lightning::NodeError;

/// An error as the gateway in front of LND tells it: gRPC's code in JSON, under the HTTP status that stands for it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    in_stream: bool,
}

/// Those of gRPC's codes that occur here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    NotFound = 5,
    AlreadyExists = 6,
    Unimplemented = 12,
}

impl Failure {
    /// What LND says of nearly everything that it refuses.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(Code::Unknown, message)
    }

    pub(crate) fn no_such_invoice() -> Self {
        Self::new(Code::NotFound, "unable to locate invoice")
    }

    pub(crate) fn already(message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    pub(crate) fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Code::Unimplemented, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(Code::NotFound, "Not Found")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::unimplemented("Method Not Allowed")
    }

    /// The same, of a call that answers with a stream.
    pub(crate) fn in_stream(mut self) -> Self {
        self.in_stream = true;
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// One line of a stream that has begun.
    pub(crate) fn line(&self) -> Value {
        json!({ "error": self.status() })
    }

    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), in_stream: false }
    }

    fn status(&self) -> Value {
        json!({ "code": self.code as u8, "message": self.message, "details": [] })
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::unknown(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.code {
            Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists => StatusCode::CONFLICT,
            Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        };
        (status, Json(if self.in_stream { self.line() } else { self.status() })).into_response()
    }
}

/// The JSON of a request, whatever its content type says.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Failure::new(Code::InvalidArgument, error.to_string()))
}
