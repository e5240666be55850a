//! Request: calls with replies.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use enact::{
    model::{Attribute, DataType},
    runtime::{
        channel::{ChannelCtx, ChannelType, EndId, Ends, Outcome, Settings, Ticket, attribute},
        instance::{Message, ParamError},
    },
    words::Time,
};

/// Calls with replies: each goes to one started receiver (they take turns), and what its input method returns goes back to the
/// port that asked. A call is never made twice; while nobody is started, calls wait up to `timeout`. What is sent without
/// waiting for a reply goes to one receiver as well.
#[derive(Debug, Default)]
pub struct Request {
    timeout: Duration,
    turn: usize,
    /// Messages that wait for a receiver; calls or not.
    waiting: VecDeque<Ticket>,
    calls: HashMap<Ticket, Time>,
    due: BTreeSet<(Time, Ticket)>,
}

impl Request {
    fn next(&mut self, ends: &Ends) -> Option<EndId> {
        let n_open = ends.open().count();
        let end = ends.open().nth(self.turn % n_open.max(1))?;
        self.turn = (self.turn + 1) % n_open;
        Some(end.id)
    }

    fn forget(&mut self, ticket: Ticket) {
        if let Some(due) = self.calls.remove(&ticket) {
            self.due.remove(&(due, ticket));
        }
        if let Some(idx) = self.waiting.iter().position(|waiting| *waiting == ticket) {
            self.waiting.remove(idx);
        }
    }
}

impl ChannelType for Request {
    const NAME: &'static str = "Request";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Calls with replies: each goes to one receiver, what it returns goes back to who asked";
    const CALLS: bool = true;

    fn params() -> Vec<Attribute> {
        let doc = "How long a call may take, waiting for a receiver included, before it is answered with an error";
        vec![Attribute { min: Some("1ms".into()), ..attribute("timeout", DataType::Duration, "30s", doc) }]
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), ParamError> {
        self.timeout = settings.duration("timeout")?;
        Ok(())
    }

    fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        let end = self.next(ends);
        if let (false, Some(end)) = (ctx.asked(), end) {
            return ctx.deliver(end);
        }
        let is_call = ctx.asked();
        let Some(ticket) = ctx.hold() else { return };
        if is_call {
            let due = ctx.now() + self.timeout;
            self.calls.insert(ticket, due);
            self.due.insert((due, ticket));
            ctx.wake_in(self.timeout);
        }
        match end {
            Some(end) => ctx.follow(ticket, end),
            None => self.waiting.push_back(ticket),
        }
    }

    fn settled(&mut self, ticket: Ticket, outcome: Outcome<Message>, _: &Ends, ctx: &mut ChannelCtx<'_>) {
        self.forget(ticket);
        match outcome {
            Outcome::Done(reply) => ctx.answer(ticket, Ok(reply)),
            Outcome::Failed(reason) => ctx.answer(ticket, Err(reason)),
            Outcome::Lost => ctx.answer(ticket, Err("the receiver went away before it replied".into())),
            Outcome::Dropped => {}
        }
    }

    fn changed(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        while let Some(ticket) = self.waiting.front().copied() {
            let Some(end) = self.next(ends) else { return };
            self.waiting.pop_front();
            if self.calls.contains_key(&ticket) { ctx.follow(ticket, end) } else { ctx.forward(ticket, end) }
        }
    }

    fn woken(&mut self, _: &Ends, ctx: &mut ChannelCtx<'_>) {
        while let Some((due, ticket)) = self.due.first().copied() {
            if due > ctx.now() {
                ctx.wake_in(due.since(ctx.now()));
                return;
            }
            let was_waiting = self.waiting.contains(&ticket);
            self.forget(ticket);
            let reason = if was_waiting { "no receiver was started" } else { "the receiver did not reply" };
            ctx.answer(ticket, Err(format!("{reason} within {:?}", self.timeout).into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use enact::runtime::channel::testing::Bench;

    use super::*;

    #[test]
    fn the_reply_goes_to_who_asked() {
        let mut bench = Bench::<Request>::new(&[]).unwrap();
        ["a", "b"].into_iter().for_each(|name| bench.receiver(name));
        let (first, second) = (bench.ask("what is 1".to_owned()), bench.ask("what is 2".to_owned()));
        assert_eq!((bench.given("a"), bench.given("b")), (vec!["what is 1".into()], vec!["what is 2".into()]));
        assert!(bench.finish("b", Ok(2.into())));
        assert!(bench.finish("a", Err("I forgot")));
        assert_eq!(bench.reply(first), Some(Err("I forgot".to_owned())));
        assert_eq!(bench.reply(second), Some(Ok(2.into())));
        assert_eq!(bench.counters().kept, 0);
    }

    #[test]
    fn a_call_waits_for_a_receiver_and_not_for_ever() {
        let mut bench = Bench::<Request>::new(&[("timeout", "1s")]).unwrap();
        let early = bench.ask(1);
        bench.advance(Duration::from_millis(900));
        let late = bench.ask(2);
        bench.advance(Duration::from_millis(200));
        assert_eq!(bench.reply(early), Some(Err("no receiver was started within 1s".to_owned())));
        bench.receiver("a");
        assert_eq!(bench.given("a"), [2]);
        bench.advance(Duration::from_secs(1));
        assert_eq!(bench.reply(late), Some(Err("the receiver did not reply within 1s".to_owned())));
        // Too late: nobody waits any more.
        bench.finish("a", Ok(2.into()));
        assert_eq!(bench.reply(late), None);
    }

    #[test]
    fn a_call_whose_receiver_goes_away_is_answered_and_not_repeated() {
        let mut bench = Bench::<Request>::new(&[]).unwrap();
        ["a", "b"].into_iter().for_each(|name| bench.receiver(name));
        let ask = bench.ask(1);
        assert_eq!(bench.given("a"), [1]);
        bench.remove("a");
        assert_eq!(bench.reply(ask), Some(Err("the receiver went away before it replied".to_owned())));
        assert!(bench.given("b").is_empty());
    }
}
