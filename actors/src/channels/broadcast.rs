//! Broadcast: every receiver gets every message.

use enact::runtime::{
    channel::{ChannelCtx, ChannelType, EndId, Ends},
    instance::Message,
};

/// Every receiver gets every message, in the order in which each sender sent.
#[derive(Debug, Default)]
pub struct Broadcast;

impl ChannelType for Broadcast {
    const NAME: &'static str = "Broadcast";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Every receiver gets every message, in the order in which each sender sent";

    fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        for end in ends {
            ctx.deliver(end.id);
        }
    }

    fn sole(&self, ends: &Ends) -> Option<EndId> {
        ends.at(0).filter(|_| ends.len() == 1).map(|end| end.id)
    }
}

#[cfg(test)]
mod tests {
    use enact::runtime::channel::testing::Bench;

    use super::*;

    #[test]
    fn every_receiver_gets_everything_in_order_also_after_it_was_stopped() {
        let mut bench = Bench::<Broadcast>::new(&[]).unwrap();
        bench.receiver("a");
        bench.receiver("b");
        bench.send(1);
        bench.stop("b");
        bench.send(2);
        bench.send(3);
        assert_eq!((bench.given("a"), bench.given("b")), (vec![1.into(), 2.into(), 3.into()], vec![1.into()]));
        bench.start("b");
        assert_eq!(bench.given("b"), [2, 3]);
    }

    #[test]
    fn a_message_that_nobody_receives_is_counted() {
        let mut bench = Bench::<Broadcast>::new(&[]).unwrap();
        bench.send(1);
        assert_eq!((bench.counters().received, bench.counters().lost), (1, 1));
    }

    #[test]
    fn a_stopped_receiver_is_kept_as_much_as_the_capacity_says() {
        let mut bench = Bench::<Broadcast>::new(&[("capacity", "2"), ("overflow", "drop-oldest")]).unwrap();
        bench.receiver("a");
        bench.stop("a");
        (1..=4).for_each(|n| bench.send(n));
        assert_eq!((bench.counters().kept, bench.counters().lost), (2, 2));
        bench.start("a");
        assert_eq!(bench.given("a"), [3, 4]);
    }
}
