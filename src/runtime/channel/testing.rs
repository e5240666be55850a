//! Trying a channel type alone: [`Bench`] is one fragment without actors, in virtual time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    logic::delivery::{self, AskId, Counters, Effect, EndId, Fragment, Given, Outcome, SourceId, Track},
    model::{ComponentId, Dictionary},
    runtime::instance::{Message, ParamError, Payload},
    words::{AttributeName, NodeName, PortPath, Time, Value},
};

use super::{
    kind::{ChannelType, Rules, attributes},
    network,
    settings::Settings,
};

/// A channel with receivers made up for a test, all on one node. Receivers take everything at once; what is followed is settled
/// when the test says so.
///
/// ```
/// use enact::runtime::{channel::{ChannelCtx, ChannelType, Ends, testing::Bench}, instance::Message};
///
/// #[derive(Default)]
/// struct ToAll;
/// impl ChannelType for ToAll {
///     const NAME: &'static str = "ToAll";
///     const VERSION: &'static str = "1.0.0";
///     const DOC: &'static str = "Every receiver gets everything";
///     fn route(&mut self, _: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
///         ends.iter().for_each(|end| ctx.deliver(end.id));
///     }
/// }
///
/// let mut bench = Bench::<ToAll>::new(&[("capacity", "10")]).unwrap();
/// bench.receiver("a");
/// bench.stop("a");
/// bench.send(1_u64);
/// assert!(bench.given("a").is_empty());
/// bench.start("a");
/// assert_eq!(bench.given("a"), [1]);
/// ```
pub struct Bench<C: ChannelType> {
    rules: Rules<C>,
    fragment: Fragment<Message>,
    effects: Vec<Effect<Message>>,
    now: Time,
    alarm: Time,
    receivers: BTreeMap<PortPath, Receiver>,
    last_ask: u64,
    replies: BTreeMap<u64, Result<Value, String>>,
}

#[derive(Default)]
struct Receiver {
    given: Vec<Value>,
    unsettled: VecDeque<Track>,
}

impl<C: ChannelType> Bench<C> {
    /// A channel with these parameters.
    ///
    /// # Errors
    /// All parameters that do not fit.
    pub fn new(params: &[(&str, &str)]) -> Result<Bench<C>, Vec<ParamError>> {
        let settings = settings::<C>(params)?;
        let policy = settings.policy().map_err(|error| vec![error])?;
        let mut rules = Rules::<C>::default();
        rules.kind.configure(&settings).map_err(|error| vec![error])?;
        let node = NodeName::parse("bench").expect("a valid name");
        Ok(Bench {
            rules,
            fragment: Fragment::new(node, 1, policy),
            effects: Vec::new(),
            now: Time::from_ms(1),
            alarm: Time::NEVER,
            receivers: BTreeMap::new(),
            last_ask: 0,
            replies: BTreeMap::new(),
        })
    }

    /// Changes the parameters.
    ///
    /// # Errors
    /// All parameters that do not fit.
    pub fn configure(&mut self, params: &[(&str, &str)]) -> Result<(), Vec<ParamError>> {
        let settings = settings::<C>(params)?;
        self.fragment.set_policy(settings.policy().map_err(|error| vec![error])?);
        self.rules.kind.configure(&settings).map_err(|error| vec![error])
    }

    /// Adds a started receiver: a component of this name.
    pub fn receiver(&mut self, name: &str) {
        self.receivers.insert(port(name), Receiver::default());
        self.rewire();
        self.start(name);
    }

    /// Removes a receiver.
    pub fn remove(&mut self, name: &str) {
        self.receivers.remove(&port(name));
        self.rewire();
    }

    /// Stops a receiver.
    pub fn stop(&mut self, name: &str) {
        self.set_open(name, false);
    }

    /// Starts a receiver.
    pub fn start(&mut self, name: &str) {
        self.set_open(name, true);
    }

    /// Sends a message.
    pub fn send(&mut self, value: impl Payload) {
        self.put(Message::new(value), None);
    }

    /// Sends a message and waits for a reply: see [`Bench::reply`].
    pub fn ask(&mut self, value: impl Payload) -> u64 {
        self.last_ask += 1;
        self.put(Message::new(value), Some(AskId(self.last_ask)));
        self.last_ask
    }

    /// The reply to what was asked, if there is one.
    pub fn reply(&mut self, ask: u64) -> Option<Result<Value, String>> {
        self.replies.remove(&ask)
    }

    /// What a receiver was given since the last call.
    pub fn given(&mut self, name: &str) -> Vec<Value> {
        self.receivers.get_mut(&port(name)).map(|receiver| std::mem::take(&mut receiver.given)).unwrap_or_default()
    }

    /// A receiver finishes the oldest message whose handling is followed: with a reply, or with an error. False when there is none.
    pub fn finish(&mut self, name: &str, result: Result<Value, &str>) -> bool {
        let oldest = self.receivers.get_mut(&port(name)).and_then(|receiver| receiver.unsettled.pop_front());
        let Some(track) = oldest else { return false };
        let outcome = match result {
            Ok(reply) => Outcome::Done(Some(Message::new(reply))),
            Err(reason) => Outcome::Failed(reason.into()),
        };
        self.fragment.outcome(&mut self.rules, self.now, track, outcome, &mut self.effects);
        self.obey();
        true
    }

    /// Lets time pass, with all that is due meanwhile.
    pub fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        while self.alarm <= until {
            self.now = self.now.max(self.alarm);
            self.alarm = Time::NEVER;
            self.fragment.tick(&mut self.rules, self.now, &mut self.effects);
            self.obey();
        }
        self.now = until;
    }

    /// Hears bytes of the fragment on another node. False when they are no frame: it goes on as if nothing had come.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
        let from = NodeName::parse("elsewhere").expect("a valid name");
        let Ok(Some(frame)) = network::read(bytes) else { return false };
        self.fragment.up(self.now, &from, &mut self.effects);
        self.fragment.arrived(&mut self.rules, self.now, &from, frame, &mut self.effects);
        self.obey();
        true
    }

    /// The numbers so far.
    pub fn counters(&self) -> Counters {
        self.fragment.counters()
    }

    /// How many messages are kept for the receiver that waits for most of them; `capacity` bounds it.
    pub fn n_kept_most(&self) -> usize {
        self.fragment.n_kept_most()
    }

    /// How many messages the channel holds itself; `capacity` bounds that, too.
    pub fn n_held(&self) -> usize {
        self.fragment.n_held()
    }

    fn rewire(&mut self) {
        // Nobody moves here.
        let receivers = self.receivers.keys().map(|port| (port.clone(), ComponentId::default())).collect();
        let wiring = delivery::Wiring { receivers, ..delivery::Wiring::default() };
        self.fragment.connect(&mut self.rules, self.now, wiring, &mut self.effects);
        self.obey();
    }

    fn set_open(&mut self, name: &str, is_open: bool) {
        self.fragment.set_open(&mut self.rules, self.now, &port(name), is_open, &mut self.effects);
        self.obey();
    }

    fn put(&mut self, message: Message, ask: Option<AskId>) {
        let sent = (SourceId(0), message, ask);
        self.fragment.sent(&mut self.rules, self.now, self.now, sent, &mut self.effects);
        self.obey();
    }

    fn obey(&mut self) {
        loop {
            self.fragment.flush(&mut self.rules, self.now, &mut self.effects);
            if self.effects.is_empty() {
                return;
            }
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Drain(end) => self.hand_over(end),
                    Effect::Answer { ask, reply } => {
                        let reply = match reply {
                            Ok(reply) => Ok(reply.map_or(Value::Null, |message| shown(&message))),
                            Err(reason) => Err(reason.to_string()),
                        };
                        self.replies.insert(ask.0, reply);
                    }
                    Effect::Wake(at) => self.alarm = self.alarm.min(at),
                    // There are no other nodes, and nobody watches.
                    Effect::Post { .. } | Effect::Tapped(_) => {}
                }
            }
        }
    }

    fn hand_over(&mut self, end: EndId) {
        let Some(path) = self.fragment.ends().get(end).map(|end| end.port.clone()) else { return };
        let Some(receiver) = self.receivers.get_mut(&path) else { return };
        self.fragment.drain(end, self.now, &mut self.effects, |Given { message, track }| {
            receiver.given.push(shown(&message));
            receiver.unsettled.extend(track);
            Ok(())
        });
    }
}

/// A frame of each kind, as fragments send them: something to damage and to let a channel [`hear`](Bench::hear).
pub fn sample_frames() -> Vec<Vec<u8>> {
    network::samples()
}

fn settings<C: ChannelType>(params: &[(&str, &str)]) -> Result<Settings, Vec<ParamError>> {
    let mut dictionary = Dictionary::default();
    for (name, value) in params {
        match AttributeName::parse(name) {
            Ok(name) => drop(dictionary.set(name, *value)),
            Err(error) => {
                return Err(vec![ParamError { param: (*name).to_owned(), message: error.to_string() }]);
            }
        }
    }
    Settings::read(&attributes::<C>(), &dictionary)
}

fn shown(message: &Message) -> Value {
    message.to_value().unwrap_or_else(|error| Value::String(error.to_string()))
}

fn port(name: &str) -> PortPath {
    PortPath {
        node: "bench".parse().expect("a valid name"),
        component: name.parse().expect("a receiver is called by a name"),
        port: "input".parse().expect("a valid name"),
    }
}
