//! Queue: each message is handled by one receiver, at least once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use enact::{
    model::{Attribute, DataType},
    runtime::{
        channel::{ChannelCtx, ChannelType, EndId, Ends, Loss, Outcome, Settings, Ticket, attribute},
        instance::{Message, ParamError},
    },
    words::Time,
};

/// Each message is handled by one receiver, at least once: it is kept until a receiver's input method has returned, and given
/// to another when that fails, takes too long, or the receiver goes away. After `attempts` it is given up, and counted as a dead
/// letter.
#[derive(Debug, Default)]
pub struct Queue {
    timeout: Duration,
    retry: Duration,
    attempts: u32,
    prefetch: usize,
    jobs: HashMap<Ticket, Job>,
    /// Those that wait for a receiver, oldest first.
    waiting: BTreeSet<Ticket>,
    /// When a receiver has had one for too long, or a failed one is to be tried again.
    due: BTreeSet<(Time, Ticket)>,
    /// How many each receiver has.
    load: BTreeMap<EndId, usize>,
}

#[derive(Debug)]
struct Job {
    attempt: u32,
    at: Option<EndId>,
    due: Time,
}

impl Queue {
    /// Gives waiting messages to receivers with room, to the least loaded first.
    fn assign(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        while let Some(ticket) = self.waiting.first().copied() {
            let load = |end: &EndId| self.load.get(end).copied().unwrap_or(0);
            let free = ends.open().map(|end| end.id).filter(|end| load(end) < self.prefetch).min_by_key(load);
            let Some(end) = free else { return };
            self.waiting.remove(&ticket);
            let Some(job) = self.jobs.get_mut(&ticket) else { continue };
            job.at = Some(end);
            job.attempt += 1;
            job.due = ctx.now() + self.timeout;
            self.due.insert((job.due, ticket));
            *self.load.entry(end).or_default() += 1;
            ctx.follow(ticket, end);
            ctx.wake_in(self.timeout);
        }
    }

    /// Takes a message from whoever has it.
    fn leave(&mut self, ticket: Ticket) {
        let Some(job) = self.jobs.get_mut(&ticket) else { return };
        self.due.remove(&(job.due, ticket));
        self.waiting.remove(&ticket);
        if let Some(load) = job.at.take().and_then(|end| self.load.get_mut(&end)) {
            *load = load.saturating_sub(1);
        }
    }

    fn finish(&mut self, ticket: Ticket) {
        self.leave(ticket);
        self.jobs.remove(&ticket);
    }

    /// Tries again after a while, or gives up.
    fn again(&mut self, ticket: Ticket, after: Duration, ctx: &mut ChannelCtx<'_>) {
        self.leave(ticket);
        let Some(job) = self.jobs.get_mut(&ticket) else { return };
        if job.attempt >= self.attempts {
            self.jobs.remove(&ticket);
            ctx.give_up(ticket, Loss::GivenUp);
            return;
        }
        if after.is_zero() {
            self.waiting.insert(ticket);
            return;
        }
        job.due = ctx.now() + after;
        self.due.insert((job.due, ticket));
        ctx.wake_in(after);
    }
}

impl ChannelType for Queue {
    const NAME: &'static str = "Queue";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Each message is handled by one receiver, at least once";

    fn params() -> Vec<Attribute> {
        let at_least_one = |attribute| Attribute { min: Some("1".into()), ..attribute };
        let timeout = "How long a receiver may take for a message before another one gets it";
        let retry = "How long to wait before a message whose handling failed is given out again; more for each attempt";
        let attempts = "How often a message is given out before it is given up";
        let prefetch = "How many messages a receiver is given before it has finished the first";
        vec![
            Attribute { min: Some("1ms".into()), ..attribute("timeout", DataType::Duration, "30s", timeout) },
            attribute("retry", DataType::Duration, "200ms", retry),
            at_least_one(attribute("attempts", DataType::Int, "5", attempts)),
            at_least_one(attribute("prefetch", DataType::Int, "16", prefetch)),
        ]
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), ParamError> {
        let (timeout, retry) = (settings.duration("timeout")?, settings.duration("retry")?);
        let (attempts, prefetch) = (settings.get("attempts")?, settings.get("prefetch")?);
        (self.timeout, self.retry, self.attempts, self.prefetch) = (timeout, retry, attempts, prefetch);
        Ok(())
    }

    fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        if let Some(ticket) = ctx.hold() {
            self.jobs.insert(ticket, Job { attempt: 0, at: None, due: Time::NEVER });
            self.waiting.insert(ticket);
            self.assign(ends, ctx);
        }
    }

    fn settled(&mut self, ticket: Ticket, outcome: Outcome<Message>, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        match outcome {
            Outcome::Done(_) => {
                self.finish(ticket);
                ctx.release(ticket);
            }
            Outcome::Failed(_) => {
                let attempt = self.jobs.get(&ticket).map_or(1, |job| job.attempt);
                self.again(ticket, self.retry * attempt, ctx);
            }
            // Nothing says that the message is to blame.
            Outcome::Lost => self.again(ticket, Duration::ZERO, ctx),
            Outcome::Dropped => self.finish(ticket),
        }
        self.assign(ends, ctx);
    }

    fn changed(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        self.load.retain(|end, load| *load > 0 || ends.get(*end).is_some());
        self.assign(ends, ctx);
    }

    fn woken(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        while let Some((due, ticket)) = self.due.first().copied() {
            if due > ctx.now() {
                ctx.wake_in(due.since(ctx.now()));
                break;
            }
            self.due.pop_first();
            match self.jobs.get(&ticket).map(|job| job.at) {
                Some(Some(_)) => self.again(ticket, Duration::ZERO, ctx),
                Some(None) => drop(self.waiting.insert(ticket)),
                None => {}
            }
        }
        self.assign(ends, ctx);
    }
}

#[cfg(test)]
mod tests {
    use enact::{runtime::channel::testing::Bench, words::Value};

    use super::*;

    #[test]
    fn a_message_whose_handling_fails_is_given_out_again_and_then_given_up() {
        let mut bench = Bench::<Queue>::new(&[("attempts", "3"), ("retry", "100ms")]).unwrap();
        bench.receiver("a");
        bench.send("job".to_owned());
        for attempt in 1..=3 {
            assert_eq!(bench.given("a"), ["job"], "attempt {attempt}");
            assert!(bench.finish("a", Err("no disk")));
            assert!(bench.given("a").is_empty());
            bench.advance(Duration::from_millis(400));
        }
        assert!(bench.given("a").is_empty());
        assert_eq!((bench.counters().dead_letters, bench.counters().lost), (1, 1));
    }

    #[test]
    fn what_a_receiver_had_goes_to_another_when_it_goes_away_or_is_too_slow() {
        let mut bench = Bench::<Queue>::new(&[("timeout", "1s"), ("prefetch", "2")]).unwrap();
        bench.receiver("a");
        (1..=3).for_each(|n| bench.send(n));
        assert_eq!(bench.given("a"), [1, 2]);
        bench.receiver("b");
        assert_eq!(bench.given("b"), [3]);
        bench.remove("a");
        assert_eq!(bench.given("b"), [1]);
        assert!(bench.finish("b", Ok(Value::Null)));
        assert_eq!(bench.given("b"), [2]);
        bench.advance(Duration::from_secs(2));
        // Nobody else is there: it is given the same again.
        assert!(!bench.given("b").is_empty());
        assert_eq!(bench.counters().lost, 0);
    }

    #[test]
    fn the_least_loaded_receiver_is_next() {
        let mut bench = Bench::<Queue>::new(&[]).unwrap();
        ["a", "b"].into_iter().for_each(|name| bench.receiver(name));
        (1..=2).for_each(|n| bench.send(n));
        bench.finish("b", Ok(Value::Null));
        bench.send(3);
        assert_eq!((bench.given("a"), bench.given("b")), (vec![1.into()], vec![2.into(), 3.into()]));
    }

    #[test]
    fn an_answer_that_comes_too_late_still_counts() {
        let mut bench = Bench::<Queue>::new(&[("timeout", "1s")]).unwrap();
        bench.receiver("a");
        bench.send("job".to_owned());
        bench.advance(Duration::from_millis(1500));
        assert_eq!(bench.given("a"), ["job", "job"]);
        assert!(bench.finish("a", Ok(Value::Null)));
        assert_eq!(bench.counters().kept, 0);
        assert!(bench.finish("a", Err("done before")));
        bench.advance(Duration::from_secs(60));
        assert!(bench.given("a").is_empty());
    }
}
