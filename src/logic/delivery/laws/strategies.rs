//! Two kinds of channel for the laws.

use std::{collections::VecDeque, time::Duration};

use crate::logic::delivery::{Ctx, EndId, Ends, Outcome, Strategy, Ticket};

/// Broadcast: every end gets everything.
pub(super) struct Everyone;

impl Strategy<u64> for Everyone {
    fn route(&mut self, _message: &u64, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        ends.iter().for_each(|end| ctx.deliver(end.id));
    }
    fn sole(&self, ends: &Ends) -> Option<EndId> {
        ends.at(0).filter(|_| ends.len() == 1).map(|end| end.id)
    }
}

/// A queue: one open end handles each message; who fails or goes away is replaced by another.
#[derive(Default)]
pub(super) struct Workers {
    waiting: VecDeque<Ticket>,
    turn: usize,
}

impl Workers {
    fn assign(&mut self, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        let open: Vec<EndId> = ends.open().map(|end| end.id).collect();
        while let (Some(ticket), false) = (self.waiting.front(), open.is_empty()) {
            ctx.follow(*ticket, open[self.turn % open.len()]);
            self.turn += 1;
            self.waiting.pop_front();
        }
    }
}

impl Strategy<u64> for Workers {
    fn route(&mut self, _message: &u64, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        self.waiting.extend(ctx.hold());
        self.assign(ends, ctx);
    }
    fn settled(&mut self, ticket: Ticket, outcome: Outcome<u64>, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        match outcome {
            Outcome::Done(_) => ctx.release(ticket),
            Outcome::Failed(_) | Outcome::Lost => self.waiting.push_back(ticket),
            Outcome::Dropped => self.waiting.retain(|waiting| *waiting != ticket),
        }
        // A failing receiver is not asked again at once: the clock decides.
        if !self.waiting.is_empty() {
            ctx.wake_in(Duration::from_millis(10));
        }
        if self.turn.is_multiple_of(2) {
            self.assign(ends, ctx);
        }
    }
    fn changed(&mut self, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        self.assign(ends, ctx);
    }
    fn woken(&mut self, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        self.assign(ends, ctx);
    }
}
