//! What the node wants of a fragment: to start and stop, to take other values, to bind and unbind receivers.

use std::{
    cell::Cell,
    future::Future,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    logic::delivery::Effect,
    runtime::instance::{Condition, Ended, Failure, Op, inbox::Done},
    words::{Time, Value},
};

use super::{
    door::{Bell, Order},
    kind::{ChannelType, Rules, attributes},
    settings::Settings,
    shell::{Receiver, Shell},
};

/// How long a fragment that has ended gives other nodes what it has for them: receivers that moved there start within it, unless
/// something is wrong with their node.
const LINGERS_FOR: Duration = Duration::from_secs(5);

impl<C: ChannelType> Shell<C> {
    pub(super) fn operate(&mut self, op: Op, done: Done) {
        if let (Some(failure), false) = (&self.birth_failure, matches!(op, Op::Revive)) {
            return done.send(Err(failure.clone()));
        }
        let outcome = match op {
            Op::Ready | Op::End => Ok(()),
            Op::Start if self.rules.is_mute => {
                Err(Failure::Condition { what: "start".to_owned(), condition: self.inbox.condition().to_string() })
            }
            Op::Start => {
                self.inbox.set_condition(Condition::Running);
                Ok(())
            }
            Op::Stop => {
                if !self.rules.is_mute {
                    self.inbox.set_condition(Condition::Stopped);
                }
                Ok(())
            }
            Op::Update(dictionary) => Settings::read(&attributes::<C>(), &dictionary)
                .map_err(Failure::Params)
                .and_then(|settings| self.configure(settings)),
            Op::Bind { port, .. } | Op::Unbind { port, .. } => {
                Err(Failure::NoPort { direction: "output", port: port.to_string(), known: Vec::new() })
            }
            Op::Snapshot | Op::Restore { .. } | Op::Outputs => Ok(()),
            Op::Revive => self.revive(),
        };
        done.send(outcome.map(|()| Value::Null));
    }

    pub(super) fn configure(&mut self, settings: Settings) -> Result<(), Failure> {
        let wrong = |error| Failure::Params(vec![error]);
        let policy = settings.policy().map_err(wrong)?;
        self.rules.kind.configure(&settings).map_err(wrong)?;
        self.fragment.set_policy(policy);
        self.door.set_policy(policy);
        self.settings = settings;
        Ok(())
    }

    pub(super) fn revive(&mut self) -> Result<(), Failure> {
        self.rules = Rules::default();
        self.fragment.abandon(self.clock.now(), &mut self.effects);
        let settings = match self.birth_failure.take() {
            None => self.settings.clone(),
            Some(_) => Settings::read(&attributes::<C>(), &self.birth.dictionary).map_err(Failure::Params)?,
        };
        self.configure(settings)?;
        self.inbox.set_condition(Condition::Created);
        Ok(())
    }

    /// The channel's own code panicked. What it held is lost with it; what is under way to receivers is not.
    pub(super) fn crash(&mut self, reason: String) {
        let failure = Failure::Panicked { what: "the channel".to_owned(), reason };
        tracing::warn!(channel = %self.birth.path, %failure, "a channel failed");
        self.rules = Rules::default();
        self.rules.is_mute = true;
        self.fragment.abandon(self.clock.now(), &mut self.effects);
        self.inbox.fail(failure.clone());
        if let Some(watcher) = self.birth.environment.watcher() {
            watcher.do_send(Ended { path: self.birth.path.clone(), life: self.birth.life, failure });
        }
    }

    /// The node wants it gone: nobody of this node sends or receives any more. What it has for other nodes it gives them still, for a
    /// while.
    pub(super) fn end(&mut self, now: Time) {
        while let Some(order) = self.door.next_order() {
            self.take_order(order, now);
        }
        let n_unread = self.letters.len() + self.door.shut();
        if n_unread > 0 {
            tracing::info!(channel = %self.birth.path, n_unread, "a channel ended with messages that it had not read");
        }
        self.by_end.clear();
        self.fragment.shut();
        self.lingers_until = Some(now + LINGERS_FOR);
        self.inbox.set_condition(Condition::Gone);
        self.inbox.close();
    }

    /// It has ended but for what is on its way to other nodes.
    pub(super) fn linger(&mut self, until: Time, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.clock.now();
        let is_network_idle = self.hear_network(cx, now);
        self.tick(cx, now);
        self.obey(now);
        if self.fragment.owes() && now < until {
            self.wake_at(until);
            if !is_network_idle || self.sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let n_kept = self.fragment.counters().kept;
        if n_kept > 0 {
            tracing::warn!(channel = %self.birth.path, n_kept, "a channel ended with messages that nobody was given");
        }
        self.fragment.give_up(now, &mut self.effects);
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Post { to, frame } = effect {
                self.post(&to, frame, now);
            }
        }
        Poll::Ready(())
    }

    pub(super) fn take_order(&mut self, order: Order, now: Time) {
        match order {
            Order::Open(port, inlet) => {
                let bell = Bell::new(self.door.clone(), port.clone());
                let waker = Waker::from(bell.clone());
                let seen = Cell::new(Condition::Created);
                let (is_open, is_crowded) = (Cell::new(false), Cell::new(false));
                let receiver = Rc::new(Receiver { port: port.clone(), inlet, bell, waker, seen, is_open, is_crowded });
                self.fragment.set_open(&mut self.rules, now, &port, false, &mut self.effects);
                if let Some(end) = self.fragment.end_of(&port) {
                    self.by_end.insert(end, receiver.clone());
                }
                self.receivers.insert(port, receiver.clone());
                self.look(&receiver, now);
            }
            Order::Close(port) => {
                if let Some(end) = self.fragment.end_of(&port) {
                    self.by_end.remove(&end);
                    self.fragment.set_open(&mut self.rules, now, &port, false, &mut self.effects);
                }
                self.receivers.remove(&port);
            }
            Order::Look(port) => {
                if let Some(receiver) = self.receivers.get(&port).cloned() {
                    self.look(&receiver, now);
                }
            }
            Order::Rewire(wiring) => {
                self.fragment.connect(&mut self.rules, now, wiring.core(), &mut self.effects);
                self.wiring = wiring;
                let ends = self.receivers.iter();
                let ends = ends.filter_map(|(port, receiver)| Some((self.fragment.end_of(port)?, receiver.clone())));
                self.by_end = ends.collect();
                // An end that is there anew starts closed: each receiver says again how it is.
                for receiver in self.by_end.values().cloned().collect::<Vec<_>>() {
                    if receiver.is_open.get() {
                        self.fragment.set_open(&mut self.rules, now, &receiver.port, true, &mut self.effects);
                    }
                }
            }
            Order::TakeBack(port, messages) => self.fragment.take_back(now, &port, messages),
            Order::Count(asker) => {
                let mut counters = self.fragment.counters();
                counters.kept += self.letters.len() as u64;
                // Who asked may have given up waiting.
                let _ = asker.send(counters);
            }
            Order::Tap(tap) => self.taps.push(tap),
            // Each turn looks who still watches: that there is one is enough.
            Order::ForgetTaps => {}
        }
    }

    /// Sees how a receiver is, and goes on handing over if it runs.
    pub(super) fn look(&mut self, receiver: &Rc<Receiver>, now: Time) {
        receiver.bell.reset();
        let mut cx = Context::from_waker(&receiver.waker);
        while let Poll::Ready(condition) = receiver.inlet.poll_condition(receiver.seen.get(), &mut cx) {
            receiver.seen.set(condition);
        }
        let is_open = receiver.seen.get() == Condition::Running;
        if receiver.is_open.replace(is_open) != is_open {
            self.fragment.set_open(&mut self.rules, now, &receiver.port, is_open, &mut self.effects);
        }
        if let (true, Some(end)) = (is_open, self.fragment.end_of(&receiver.port)) {
            self.effects.push(Effect::Drain(end));
        }
    }
}
