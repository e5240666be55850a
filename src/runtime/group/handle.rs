//! The handle of a group: how the node, and what it serves, speaks to the group on this node. From any thread.

use std::{fmt, sync::Arc, time::Duration};

use actix::{Addr, Context};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::shell::{Call, GroupActor};
use crate::{
    logic::gossip::{Conflict, Member, Outcome, Push, PushRefused, Pushed, Report, Revision, RevisionId, Snapshot},
    model::{
        Model,
        change::{self, Change},
    },
    words::{GroupName, NodeName},
};

/// How long who asks about the model waits for the whole of a revision whose part runs already.
const WHOLE_MAX: Duration = Duration::from_secs(3);

/// How a revision fares on each attached node.
pub type Outcomes = Vec<(NodeName, Outcome)>;

/// A group on this node. Cheap to clone.
#[derive(Clone)]
pub struct GroupHandle {
    pub(super) name: GroupName,
    pub(super) addr: Addr<GroupActor>,
    pub(super) current: watch::Receiver<Snapshot>,
    pub(super) news: watch::Receiver<u64>,
}

impl fmt::Debug for GroupHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupHandle({})", self.name)
    }
}

impl GroupHandle {
    /// The group's name.
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// The model as this node knows it.
    pub fn current(&self) -> Snapshot {
        self.current.borrow().clone()
    }

    /// The model, whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.current.clone()
    }

    /// Waits until this node has heard from the group, or nobody is there: nothing is to be started before.
    ///
    /// # Errors
    /// When the group has stopped, or that has not come within `limit`.
    pub async fn synced(&self, limit: Duration) -> Result<(), PushRefused> {
        let mut news = self.news.clone();
        let synced = async {
            while !self.call(|group, _| group.protocol.is_synced()).await? {
                news.changed().await.map_err(|_| PushRefused::Stopped)?;
            }
            Ok(())
        };
        timeout(limit, synced).await.unwrap_or(Err(PushRefused::NotSynced))
    }

    /// Waits while this node runs its part of a revision whose whole is still on its way, so that who asks next sees it; no longer
    /// than the whole may take on a busy machine.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn whole(&self) -> Result<(), PushRefused> {
        let mut news = self.news.clone();
        let whole = async {
            loop {
                news.borrow_and_update();
                if !self.call(|group, _| group.protocol.is_ahead()).await? {
                    return Ok(());
                }
                news.changed().await.map_err(|_| PushRefused::Stopped)?;
            }
        };
        timeout(WHOLE_MAX, whole).await.unwrap_or(Ok(()))
    }

    /// Pushes a wanted model. It is safe on disk here, and on its way to the others, when this returns; what each node makes of
    /// it, [`GroupHandle::outcome`] tells.
    ///
    /// # Errors
    /// See [`PushRefused`]; nothing has changed then.
    pub async fn push(&self, push: Push) -> Result<Pushed, PushRefused> {
        self.call(move |group, ctx| {
            let wanted = push.clone();
            group.push(ctx, Some(&push), |protocol, now, effects| protocol.push(now, wanted, effects))
        })
        .await?
    }

    /// Sends what is held back until others have taken up their parts: before this node goes, and who has a part is left without the
    /// whole.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn release(&self) -> Result<(), PushRefused> {
        self.call(|group, ctx| group.tell(ctx, |protocol, _, effects| protocol.release(effects))).await
    }

    /// Brings back the model of a revision, as a new revision.
    ///
    /// # Errors
    /// [`PushRefused::NotKept`] when that model is not known here.
    pub async fn rollback(
        &self,
        to: RevisionId,
        by: impl Into<Arc<str>>,
        from: impl Into<Arc<str>>,
        message: impl Into<Arc<str>>,
    ) -> Result<Pushed, PushRefused> {
        let texts = (by.into(), from.into(), message.into());
        self.call(move |group, ctx| {
            group.push(ctx, None, |protocol, now, effects| protocol.rollback(now, &to, texts, effects))
        })
        .await?
    }

    /// The revisions, the latest first.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn history(&self, n_max: usize) -> Result<Vec<Arc<Revision>>, PushRefused> {
        self.call(move |group, _| group.protocol.replica().history().revisions().take(n_max).cloned().collect()).await
    }

    /// The model as it was with a revision.
    ///
    /// # Errors
    /// [`PushRefused::NotKept`] when it is not known here.
    pub async fn model_at(&self, revision: RevisionId) -> Result<Model, PushRefused> {
        self.call(move |group, _| {
            let history = group.protocol.replica().history();
            history
                .model_at(&revision)
                .ok_or_else(|| PushRefused::NotKept { wanted: revision, oldest: history.oldest_model().cloned() })
        })
        .await?
    }

    /// Whether the model of a revision is known here.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn keeps_model(&self, revision: RevisionId) -> Result<bool, PushRefused> {
        self.call(move |group, _| group.protocol.replica().history().keeps_model(&revision)).await
    }

    /// What differs between two revisions.
    ///
    /// # Errors
    /// [`PushRefused::NotKept`] when one of them is not known here.
    pub async fn diff(&self, from: RevisionId, to: RevisionId) -> Result<Vec<Change>, PushRefused> {
        let (from, to) = (self.model_at(from).await?, self.model_at(to).await?);
        Ok(change::diff(&from, &to))
    }

    /// The collisions that are remembered: of one revision, or all.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn conflicts(&self, of: Option<RevisionId>) -> Result<Vec<Conflict>, PushRefused> {
        self.call(move |group, _| {
            let concerns =
                |conflict: &&Conflict| of.is_none() || conflict.loser.revision == of || conflict.winner.revision == of;
            group.protocol.replica().history().conflicts().filter(concerns).cloned().collect()
        })
        .await
    }

    /// The members: attached by the model, connected, or both. Who is attached and not there is absent.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn members(&self) -> Result<Vec<Member>, PushRefused> {
        self.call(|group, _| {
            let replica = group.protocol.replica();
            group.protocol.board().members(replica.model(), replica.digest())
        })
        .await
    }

    /// How a revision fares now on each attached node.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn outcomes(&self, revision: RevisionId) -> Result<Outcomes, PushRefused> {
        self.call(move |group, _| {
            let replica = group.protocol.replica();
            group.protocol.board().outcomes(&revision, replica.model())
        })
        .await
    }

    /// Waits until every attached node that is there has answered to a revision, no longer than `limit`; `progress` is told
    /// whenever one does. Who is not there is unreachable, who has not answered in time is waiting.
    ///
    /// # Errors
    /// When the group has stopped.
    pub async fn outcome(
        &self,
        revision: RevisionId,
        limit: Duration,
        mut progress: impl FnMut(&Outcomes),
    ) -> Result<Outcomes, PushRefused> {
        let deadline = Instant::now() + limit;
        let mut news = self.news.clone();
        let mut last = Outcomes::new();
        loop {
            news.borrow_and_update();
            let outcomes = self.outcomes(revision.clone()).await?;
            if outcomes != last {
                progress(&outcomes);
                last = outcomes;
            }
            let is_waiting = last.iter().any(|(_, outcome)| *outcome == Outcome::Waiting);
            if !is_waiting {
                return Ok(last);
            }
            match timeout_at(deadline, news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(PushRefused::Stopped),
                Err(_) => return Ok(last),
            }
        }
    }

    /// Says what runs on this node; spreads with a heartbeat when it is news.
    pub fn set_report(&self, report: Report) {
        self.addr.do_send(Call(Box::new(move |group, _| group.protocol.report(report))));
    }

    /// Keeps everything anew and gives the node its target again: what failed for want of room may work now.
    pub fn renew(&self) {
        self.addr.do_send(Call(Box::new(|group, ctx| group.renew(ctx))));
    }

    async fn call<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut GroupActor, &mut Context<GroupActor>) -> T + Send + 'static,
    ) -> Result<T, PushRefused> {
        let (sender, receiver) = oneshot::channel();
        let call = Call(Box::new(move |group, ctx| {
            // Who asked may have gone.
            let _ = sender.send(run(group, ctx));
        }));
        self.addr.send(call).await.map_err(|_| PushRefused::Stopped)?;
        receiver.await.map_err(|_| PushRefused::Stopped)
    }
}
