//! RoundRobin: the receivers take turns.

use std::collections::VecDeque;

use enact::runtime::{
    channel::{ChannelCtx, ChannelType, EndId, Ends, Outcome, Ticket},
    instance::Message,
};

/// Each message goes to one started receiver; they take turns. While none is started, messages are kept.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: usize,
    waiting: VecDeque<Ticket>,
}

impl RoundRobin {
    fn next(&mut self, ends: &Ends) -> Option<EndId> {
        let n_open = ends.open().count();
        let end = ends.open().nth(self.turn % n_open.max(1))?;
        self.turn = (self.turn + 1) % n_open;
        Some(end.id)
    }
}

impl ChannelType for RoundRobin {
    const NAME: &'static str = "RoundRobin";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Each message goes to one started receiver; they take turns";

    fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        match self.next(ends) {
            Some(end) => ctx.deliver(end),
            None => self.waiting.extend(ctx.hold()),
        }
    }

    fn changed(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        while let Some(ticket) = self.waiting.front().copied() {
            let Some(end) = self.next(ends) else { return };
            ctx.forward(ticket, end);
            self.waiting.pop_front();
        }
    }

    fn settled(&mut self, ticket: Ticket, _: Outcome<Message>, _: &Ends, _: &mut ChannelCtx<'_>) {
        // Nothing is followed: this is a message that had to make room for a newer one.
        self.waiting.retain(|waiting| *waiting != ticket);
    }
}

#[cfg(test)]
mod tests {
    use enact::runtime::channel::testing::Bench;

    use super::*;

    #[test]
    fn started_receivers_take_turns_and_the_others_are_left_out() {
        let mut bench = Bench::<RoundRobin>::new(&[]).unwrap();
        ["a", "b", "c"].into_iter().for_each(|name| bench.receiver(name));
        bench.stop("b");
        (1..=4).for_each(|n| bench.send(n));
        assert_eq!((bench.given("a"), bench.given("c")), (vec![1.into(), 3.into()], vec![2.into(), 4.into()]));
        assert!(bench.given("b").is_empty());
    }

    #[test]
    fn what_comes_while_nobody_is_started_is_shared_out_later() {
        let mut bench = Bench::<RoundRobin>::new(&[("capacity", "3"), ("overflow", "drop-oldest")]).unwrap();
        (1..=4).for_each(|n| bench.send(n));
        bench.receiver("a");
        assert_eq!(bench.given("a"), [2, 3, 4]);
        assert_eq!((bench.counters().lost, bench.counters().kept), (1, 0));
    }
}
