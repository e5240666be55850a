//! What people want of the group: models, and to go back to one.

use enact::{
    logic::gossip::{Effect, Protocol, Push, PushRefused, Pushed, StateDigest},
    model::{Model, change},
    words::Time,
};

use super::{World, check, edits, edits::node};
use crate::trace::{Checked, Violation, hold};

impl World<'_> {
    pub(super) fn push(&mut self) -> Checked {
        let at = self.chance.idx(self.members.len());
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        let current = protocol.replica().snapshot();
        self.trace.step(self.agenda.now(), 300 + at as u64);
        if self.chance.percent(12) {
            return self.rollback(at);
        }
        // Somebody looks now and pushes later.
        if self.chance.percent(15) {
            self.members[at].draft = Some(current);
            return Ok(());
        }
        let old = self.members[at].draft.take();
        let is_old = old.as_ref().is_some_and(|old| old.digest != current.digest);
        let base = old.unwrap_or(current);
        let mut wanted = base.model.clone();
        edits::attach(&mut wanted, &node(at));
        for _ in 0..=self.chance.below(3) {
            let edit = edits::some(&mut self.chance, &wanted);
            // What does not fit this model is simply not wanted.
            let _ = wanted.apply(&[edit]);
        }
        let compare_and_swap = self.chance.percent(50);
        let asked = change::diff(&base.model, &wanted);
        let push = Push {
            wanted: wanted.clone(),
            base: Some(base),
            compare_and_swap,
            by: node(at).as_str().into(),
            from: "sim".into(),
            message: "".into(),
        };
        let before = self.digest(at);
        let made = self.make(at, |protocol, now, effects| protocol.push(now, push, effects))?;
        match made {
            Some(Ok(pushed)) => {
                hold!(
                    !(is_old && compare_and_swap),
                    "a compare-and-swap on an old base is refused",
                    "m{at} took it as {:?}",
                    pushed.revision
                );
                match &self.members[at].protocol {
                    Some(protocol) if is_old => check::shows_or_is_named(at, &pushed, &asked, protocol.replica())?,
                    _ => check::shows_what_was_wanted(at, &pushed.snapshot.model, &wanted)?,
                }
            }
            Some(Err(refused)) => {
                self.trace.say(|| format!("m{at} refuses a push: {refused}"));
                hold!(self.digest(at) == before, "a refused push changes nothing", "m{at} changed, and said {refused}");
                let was_moved = matches!(refused, PushRefused::Moved { .. });
                hold!(
                    was_moved <= (is_old && compare_and_swap),
                    "a push on the current base is taken",
                    "m{at}: {refused}"
                );
            }
            None => {}
        }
        Ok(())
    }

    fn rollback(&mut self, at: usize) -> Checked {
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        let known: Vec<_> = protocol.replica().history().revisions().map(|revision| revision.id.clone()).collect();
        if known.is_empty() {
            return Ok(());
        }
        let to = known[self.chance.idx(known.len())].clone();
        let wanted: Option<Model> = protocol.replica().history().model_at(&to);
        let texts = (node(at).as_str().into(), "sim".into(), "".into());
        let made = self.make(at, |protocol, now, effects| protocol.rollback(now, &to, texts, effects))?;
        match (made, wanted) {
            (Some(Ok(pushed)), Some(wanted)) => check::shows_what_was_wanted(at, &pushed.snapshot.model, &wanted),
            (Some(Ok(_)), None) => {
                hold!(false, "a rollback leads to a model that is kept", "m{at} went back to {to}, which is not kept");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A push as the shell does it: what cannot be kept did not happen; what is kept is acknowledged, then spread. A crash
    /// may come in between.
    fn make(
        &mut self,
        at: usize,
        make: impl FnOnce(&mut Protocol, Time, &mut Vec<Effect>) -> Result<Pushed, PushRefused>,
    ) -> Result<Option<Result<Pushed, PushRefused>>, Violation> {
        let now = self.time(at);
        let fails = self.chance.percent(self.members[at].disk_fails);
        let dies = self.chance.percent(3) && !self.is_calm;
        let Some(protocol) = &mut self.members[at].protocol else { return Ok(None) };
        let before = protocol.clone();
        let mut effects = Vec::new();
        let made = make(protocol, now, &mut effects);
        let Ok(pushed) = made else { return Ok(Some(made)) };
        if fails {
            *protocol = before;
            self.trace.say(|| format!("m{at} cannot write {:?}", pushed.revision));
            return Ok(Some(Err(PushRefused::Storage("full".to_owned()))));
        }
        self.trace.say(|| format!("m{at} pushes {:?}: {}", pushed.revision, check::written(&effects)));
        self.book.stamped(at, &pushed.snapshot, before.replica())?;
        let (keeps, others): (Vec<Effect>, Vec<Effect>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::Keep(_) | Effect::KeepAll));
        self.obey(at, keeps)?;
        if dies {
            self.book.unsettled(at);
            self.crash(at);
            return Ok(None);
        }
        self.obey(at, others)?;
        self.check_member(at)?;
        Ok(Some(Ok(pushed)))
    }

    fn digest(&self, at: usize) -> Option<StateDigest> {
        self.members[at].protocol.as_ref().map(|protocol| protocol.replica().digest())
    }
}
