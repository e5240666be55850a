//! People who change the model: they push a script, and wait until each node has answered.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use enact::{
    io::engine::{Lane, Router},
    runtime::node::api::{
        self, ApiError, Applied, ErrorCode, OutcomeReply, Reply, Request, WAIT_MAX, Wanted, decode_reply,
        encode_request,
    },
    words::NodeName,
};

use super::parts::since_the_beginning;

/// What became of a push.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) script: String,
    /// The machine that was asked, and which life of it.
    pub(super) at: usize,
    pub(super) life: u32,
    pub(super) asked: Duration,
    pub(super) applied: Option<Result<Applied, ApiError>>,
    pub(super) outcome: Option<Result<OutcomeReply, ApiError>>,
    pub(super) answered: Option<Duration>,
}

/// What became of each push, by its number.
pub(super) type Book = Rc<RefCell<BTreeMap<usize, Told>>>;

/// Pushes a script, and follows it to its end.
pub(super) async fn push(router: Router, number: usize, book: Book) {
    let script = book.borrow().get(&number).map(|told| told.script.clone()).unwrap_or_default();
    let wanted = Wanted::Script { text: script, file: format!("push {number}"), variables: BTreeMap::new() };
    let request = Request::Apply {
        wanted,
        base: None,
        compare_and_swap: false,
        message: format!("push {number}"),
        by: "sim".to_owned(),
    };
    let applied = match ask(&router, request).await {
        Ok(Reply::Applied(applied)) => Ok(applied),
        Ok(other) => Err(ApiError::new(ErrorCode::Internal, format!("to an apply it says {other:?}"))),
        Err(error) => Err(error),
    };
    let revision = applied.as_ref().ok().map(|applied| applied.revision.clone());
    note(&book, number, |told| told.applied = Some(applied));
    let Some(revision) = revision else { return };
    let mut seen = 0;
    let outcome = loop {
        let wait_ms = WAIT_MAX.as_millis() as u64;
        match ask(&router, Request::Outcome { revision: revision.clone(), seen, wait_ms }).await {
            Ok(Reply::Outcome(outcome)) if outcome.verdict.is_some() => break Ok(outcome),
            Ok(Reply::Outcome(outcome)) => seen = outcome.n_reports,
            Ok(other) => break Err(ApiError::new(ErrorCode::Internal, format!("to an outcome it says {other:?}"))),
            Err(error) => break Err(error),
        }
    };
    note(&book, number, |told| {
        told.outcome = Some(outcome);
        told.answered = Some(since_the_beginning());
    });
}

fn note(book: &Book, number: usize, what: impl FnOnce(&mut Told)) {
    if let Some(told) = book.borrow_mut().get_mut(&number) {
        what(told);
    }
}

async fn ask(router: &Router, request: Request) -> Result<Reply, ApiError> {
    let deadline = request.deadline();
    let me: NodeName = router.me().name.clone();
    let asked = router.ask(&me, api::SERVICE, Lane::Control, encode_request(request).into(), deadline).await;
    match asked {
        Ok(reply) => decode_reply(&reply),
        Err(error) => Err(ApiError::new(ErrorCode::Unreachable, error.to_string())),
    }
}
