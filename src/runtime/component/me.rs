//! A reference to a running component, for the tasks and servers that it starts: they ask it, and it answers in its turn.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;
use tokio::{sync::oneshot, time::timeout};

use super::{Behaviour, Ctx};
use crate::{
    runtime::instance::{Condition, Inbox},
    words::InstancePath,
};

/// How long [`Me::ask`] waits: as long as a step of an adaptation may take.
pub const ASK_LIMIT: Duration = Duration::from_secs(30);

/// Why a component did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// A method of the component waits for the component itself: that would be for ever.
    #[error(
        "{0} cannot wait for an answer from itself: it is in the middle of its turn (call the method, or use a task)"
    )]
    Itself(InstancePath),
    /// Too many closures wait already.
    #[error("{0} has too many questions waiting")]
    Full(InstancePath),
    /// No answer in time.
    #[error("{path} did not answer within {limit:?}")]
    TimedOut {
        /// Who.
        path: InstancePath,
        /// How long it had.
        limit: Duration,
    },
    /// The component has ended, or failed before it came to answer.
    #[error("{path} does not answer: it is {condition}")]
    Ended {
        /// Who.
        path: InstancePath,
        /// What it is.
        condition: Condition,
    },
}

type NowFn<C> = Box<dyn FnOnce(&mut C, &mut Ctx<C>) + Send>;

/// A closure that wants its turn.
pub(super) enum Turn<C: Behaviour> {
    Now(NowFn<C>),
    Later(Box<dyn LaterFn<C> + Send>),
    /// Sent by a task of the component that panicked.
    TaskPanicked {
        name: String,
        reason: String,
    },
}

/// An async closure behind a table, to be called once.
pub(super) trait LaterFn<C: Behaviour> {
    fn start<'a>(self: Box<Self>, component: &'a mut C, ctx: &'a mut Ctx<C>) -> LocalBoxFuture<'a, ()>;
}

struct Asked<F, R> {
    work: F,
    answer: oneshot::Sender<R>,
}

impl<C: Behaviour, R: 'static, F: AsyncFnOnce(&mut C, &mut Ctx<C>) -> R + 'static> LaterFn<C> for Asked<F, R> {
    fn start<'a>(self: Box<Self>, component: &'a mut C, ctx: &'a mut Ctx<C>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            let answer = (self.work)(component, ctx).await;
            // Whoever asked may have given up waiting.
            let _ = self.answer.send(answer);
        })
    }
}

/// A running component, from its own tasks. Cheap to clone; can be sent to other threads.
pub struct Me<C> {
    inbox: Arc<Inbox>,
    component: PhantomData<fn(C)>,
}

impl<C> Clone for Me<C> {
    fn clone(&self) -> Self {
        Me { inbox: self.inbox.clone(), component: PhantomData }
    }
}

impl<C: Behaviour> Me<C> {
    pub(super) fn new(inbox: Arc<Inbox>) -> Me<C> {
        Me { inbox, component: PhantomData }
    }

    /// The address of the component.
    pub fn path(&self) -> &InstancePath {
        self.inbox.path()
    }

    /// Runs a closure on the component, in its turn, and waits for what it returns; [`ASK_LIMIT`] at most.
    ///
    /// # Errors
    /// See [`AskError`]. A method of the component that awaits this on itself is refused at once.
    pub async fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C, &mut Ctx<C>) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        self.ask_within(ASK_LIMIT, work).await
    }

    /// [`Me::ask`] with a limit of your own.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_within<R: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&mut C, &mut Ctx<C>) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let (tx, answer) = oneshot::channel();
        let now: NowFn<C> = Box::new(move |component, ctx| {
            // Whoever asked may have given up waiting.
            let _ = tx.send(work(component, ctx));
        });
        self.wait(Turn::Now(now), answer, limit).await
    }

    /// Runs an async closure on the component, in its turn, and waits for what it returns, `limit` at most.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_async<R: Send + 'static>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut C, &mut Ctx<C>) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let (tx, answer) = oneshot::channel();
        self.wait(Turn::Later(Box::new(Asked { work, answer: tx })), answer, limit).await
    }

    /// Runs a closure on the component, in its turn, without waiting.
    ///
    /// # Errors
    /// When too many wait already, or the component has ended.
    pub fn tell(&self, work: impl FnOnce(&mut C, &mut Ctx<C>) + Send + 'static) -> Result<(), AskError> {
        self.put(Turn::Now(Box::new(work)))
    }

    async fn wait<R>(&self, turn: Turn<C>, answer: oneshot::Receiver<R>, limit: Duration) -> Result<R, AskError> {
        if self.inbox.is_at_work() {
            return Err(AskError::Itself(self.path().clone()));
        }
        self.put(turn)?;
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => Err(AskError::TimedOut { path: self.path().clone(), limit }),
        }
    }

    pub(super) fn put(&self, turn: Turn<C>) -> Result<(), AskError> {
        self.inbox.put_turn(Box::new(turn)).map_err(|_| match self.inbox.condition() {
            Condition::Gone => self.ended(),
            _ => AskError::Full(self.path().clone()),
        })
    }

    fn ended(&self) -> AskError {
        AskError::Ended { path: self.path().clone(), condition: self.inbox.condition() }
    }
}

impl<C> fmt::Debug for Me<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({})", self.inbox.path())
    }
}
