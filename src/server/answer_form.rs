use bytes::Bytes;
use http::Response;

use super::{own_answer::AnswerHook, request::answers::GrpcStatus};

/// What the layer does with each of its own answers to a request.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct AnswerForm {
    pub(in crate::server) hook: Option<AnswerHook>,
    /// The request is for a gRPC method.
    pub(in crate::server) is_grpc: bool,
}

impl AnswerForm {
    /// Returns the answer as it is sent.
    pub(in crate::server) fn written(&self, answer: Response<Bytes>) -> Response<Bytes> {
        // The function may replace the body that says it.
        let status = self.is_grpc.then(|| GrpcStatus::of(&answer));
        let answer = match &self.hook {
            Some(hook) => hook.change(answer),
            None => answer,
        };
        match status {
            Some(status) => status.trailers_only(answer),
            None => answer,
        }
    }
}
