//! What one may ask a node: requests, replies and events, as JSON over the router's service [`SERVICE`].
//!
//! The command line, the console and the browser speak nothing else, and a test double implements the same [`Api`].
//! A diff of two revisions is made by the asker from two [`Request::GetModel`]s; a roll-back is an [`Request::Apply`] of
//! [`Wanted::Revision`]; setting a node's property is an apply of one edit: so everything that changes the group is
//! planned, stamped and answered in one way.

mod event;
mod reply;
mod request;
mod snapshot;
mod status;

use std::{future::Future, pin::Pin};

use serde::{Deserialize, Serialize};

pub use event::{Event, What};
pub use reply::{
    Applied, Finding, HistoryEntry, Info, NodeOutcome, NodePlan, NodeVerdict, OfferedType, OutcomeReply, Overwritten,
    Page, PlanReply, Reply, Revised, Severity, TapRecord, Verdict, Why, WhyStep,
};
pub use request::{LogsFrom, Request, Revision, WAIT_MAX, Wanted, waiting};
pub use snapshot::Snapshot;
pub use status::{
    ChannelStatus, Convergence, Counters, InstanceState, InstanceStatus, NodeState, NodeStatus, Poisoned, Status,
    poisoned_text,
};

use crate::logic::script::Diagnostic;

/// The router's service that answers.
pub const SERVICE: &str = "api";

/// The version of these types. A node refuses another one with [`ErrorCode::Version`] rather than guess.
pub const VERSION: &str = "enact/v1";

/// The most bytes a request or a reply may have: a model of 100,000 instances is about 40 MB as JSON.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What carries requests: a node itself, the way to one, or a double in tests.
pub trait Api: Send + Sync {
    /// Asks; the answer comes within [`Request::deadline`].
    fn call(&self, request: Request) -> Answer<'_>;
}

/// The answer to come.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send + 'a>>;

/// Why a request was not fulfilled: said in one line, with what would help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct ApiError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// What happened, in one line.
    pub what: String,
    /// What would work; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Every error of a script or model at once, with places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

impl ApiError {
    /// A failure without help and problems.
    pub fn new(code: ErrorCode, what: impl Into<String>) -> ApiError {
        ApiError { code, what: what.into(), help: String::new(), problems: Vec::new() }
    }

    /// The failure with a line of help.
    pub fn help(mut self, help: impl Into<String>) -> ApiError {
        self.help = help.into();
        self
    }
}

/// The kinds of failure that an asker may treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The script or model is wrong; see the problems.
    Invalid,
    /// The base is no longer the newest revision.
    Stale,
    /// There is no such revision, node, instance, channel or port.
    NotFound,
    /// Not allowed, or not possible in this state.
    Refused,
    /// A node did not answer in time.
    Timeout,
    /// A node that is concerned cannot be reached.
    Unreachable,
    /// The asker speaks another version.
    Version,
    /// The request is not understood.
    Malformed,
    /// A fault of ours.
    Internal,
}

/// One thing that is wrong with a script or model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The code, as in `enact explain CODE`.
    pub code: String,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would work; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// The place in the script, in characters from 0, `[start, end)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
}

impl From<&Diagnostic> for Problem {
    fn from(diagnostic: &Diagnostic) -> Problem {
        Problem {
            code: diagnostic.code.to_string(),
            severity: if diagnostic.is_error() { Severity::Error } else { Severity::Warning },
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone().unwrap_or_default(),
            span: Some((diagnostic.span.start as usize, diagnostic.span.end as usize)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    api_version: String,
    request: Request,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    api_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ApiError>,
}

/// A request as bytes.
pub fn encode_request(request: Request) -> Vec<u8> {
    // A request holds names, texts and numbers: nothing that JSON cannot say.
    serde_json::to_vec(&Asked { api_version: VERSION.to_owned(), request }).expect("a request is JSON")
}

/// A request from bytes.
///
/// # Errors
/// [`ErrorCode::Version`] and [`ErrorCode::Malformed`], to be sent back as they are.
pub fn decode_request(bytes: &[u8]) -> Result<Request, ApiError> {
    decode::<Asked>(bytes).map(|asked| asked.request)
}

/// A reply as bytes.
pub fn encode_reply(answer: Result<Reply, ApiError>) -> Vec<u8> {
    let (reply, error) = match answer {
        Ok(reply) => (Some(reply), None),
        Err(error) => (None, Some(error)),
    };
    serde_json::to_vec(&Answered { api_version: VERSION.to_owned(), reply, error }).expect("a reply is JSON")
}

/// A reply from bytes.
///
/// # Errors
/// What the node answered, or that its answer is not understood.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, ApiError> {
    match decode::<Answered>(bytes)? {
        Answered { error: Some(error), .. } => Err(error),
        Answered { reply: Some(reply), .. } => Ok(reply),
        Answered { .. } => Err(ApiError::new(ErrorCode::Malformed, "the answer holds neither a reply nor an error")),
    }
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.len() > MESSAGE_MAX_BYTES {
        let what = format!("a message of {} bytes; at most {MESSAGE_MAX_BYTES} are read", bytes.len());
        return Err(ApiError::new(ErrorCode::Malformed, what));
    }
    // The version comes first: types of another version need not be understood to be refused by name.
    match version_of(bytes) {
        Some(version) if version != VERSION => Err(other_version(&version)),
        _ => serde_json::from_slice(bytes)
            .map_err(|error| ApiError::new(ErrorCode::Malformed, format!("not understood: {error}"))),
    }
}

/// The version that a message claims, when it can be read at all.
fn version_of(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        api_version: String,
    }
    serde_json::from_slice::<Version>(bytes).ok().map(|claim| claim.api_version)
}

fn other_version(found: &str) -> ApiError {
    ApiError::new(ErrorCode::Version, format!("\"{found}\" is spoken on the other side, \"{VERSION}\" here"))
        .help("use the binary of the same release as the node's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back_as_it_went() {
        let request = Request::Apply {
            wanted: Wanted::Script {
                text: "add n: EnactNode".into(),
                file: "a.kevs".into(),
                variables: Default::default(),
            },
            base: Some(Revision::new(4)),
            compare_and_swap: true,
            message: "why".into(),
            by: "ana@console".into(),
        };
        assert_eq!(decode_request(&encode_request(request.clone())), Ok(request));
    }

    #[test]
    fn a_message_of_another_version_is_refused_by_name() {
        let error = decode_request(br#"{"apiVersion":"enact/v9","request":{"Dance":{}}}"#).unwrap_err();
        assert_eq!((error.code, error.what.contains("enact/v9")), (ErrorCode::Version, true));
        assert_eq!(decode_request(b"{").unwrap_err().code, ErrorCode::Malformed);
    }

    #[test]
    fn an_error_is_a_reply_too() {
        let error = ApiError::new(ErrorCode::Stale, "made on r1, the group is at r2").help("plan again");
        assert_eq!(decode_reply(&encode_reply(Err(error.clone()))), Err(error));
    }
}
