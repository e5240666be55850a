//! What members of a group say to each other: a member that is told anything goes on, and its model follows its registers.

use std::sync::LazyLock;

use enact::{
    io::engine::codec,
    logic::gossip::{Effect, GroupMessage, Protocol, Push, Replica, Timing},
    words::{NodeName, Time},
};

use crate::sample;

/// The most bytes that are accepted here; the product accepts 64 MiB.
const LIMIT: usize = 1 << 20;
/// The day of the fuzzing.
const NOW: Time = Time(1_700_000_000_000_000);

static WORLD: LazyLock<World> = LazyLock::new(World::new);

struct World {
    knows_all: Protocol,
    newcomer: Protocol,
    said: Vec<GroupMessage>,
}

impl World {
    fn new() -> World {
        let (mut effects, mut other_effects) = (Vec::new(), Vec::new());
        let mut one = member("n1", &mut effects);
        let mut other = member("n2", &mut other_effects);
        one.peer_up(NOW, &name("n2"), &mut effects);
        for idx in 0..sample::SCRIPTS.len() {
            let pushed = one.push(NOW, push(idx), &mut effects);
            assert!(pushed.is_ok(), "a push of a sample is taken");
        }
        other.peer_up(NOW, &name("n1"), &mut other_effects);
        other.tick(Time(NOW.0 + 300_000), &mut other_effects);
        let mut said = messages(&effects);
        for message in messages(&other_effects) {
            one.receive(NOW, &name("n2"), message.clone(), &mut effects);
            said.push(message);
        }
        one.tick(Time(NOW.0 + 300_000), &mut effects);
        said.extend(messages(&effects));
        World { knows_all: one, newcomer: other, said }
    }
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a good name")
}

fn member(text: &str, effects: &mut Vec<Effect>) -> Protocol {
    let timing = Timing::default();
    let replica = Replica::new(name(text), timing.ahead_max);
    let group = "sync".parse().expect("a good name");
    let mut member = Protocol::new(group, replica, (name(text), 1), timing, Time(NOW.0 - 60_000_000));
    // Nobody is there, so it is synced by now.
    member.tick(Time(NOW.0 - 30_000_000), effects);
    member
}

fn push(idx: usize) -> Push {
    Push {
        wanted: sample::model(idx),
        base: None,
        compare_and_swap: false,
        by: "ana".into(),
        from: "console".into(),
        message: "a sample".into(),
    }
}

fn messages(effects: &[Effect]) -> Vec<GroupMessage> {
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Send(_, message) | Effect::SendAll(message) => Some(message.clone()),
        Effect::Keep(_) | Effect::KeepAll | Effect::Changed(_) | Effect::Ahead(_) | Effect::Tell(_) => None,
    });
    said.collect()
}

/// What is kept up to date change by change is what the registers show.
fn assert_view(member: &Protocol) {
    let replica = member.replica();
    assert_eq!(*replica.model(), replica.registers().view(), "the model follows the registers");
}

/// Tells a member that knows everything, and one that knows nothing, and lets time pass.
pub fn run(data: &[u8]) {
    let Ok(message) = codec::decode::<GroupMessage>(data, LIMIT) else { return };
    let encoded = codec::encode(&message).expect("what was decoded can be encoded");
    assert!(codec::decode::<GroupMessage>(&encoded, 16 * LIMIT).is_ok(), "what was encoded can be decoded");
    for member in [&WORLD.knows_all, &WORLD.newcomer] {
        let mut member = member.clone();
        let mut effects = Vec::new();
        for _ in 0..2 {
            member.receive(NOW, &name("n3"), message.clone(), &mut effects);
            assert_view(&member);
        }
        member.tick(Time(NOW.0 + 600_000), &mut effects);
        assert_view(&member);
        let own = push(0);
        let _ = member.push(Time(NOW.0 + 700_000), own, &mut effects);
        assert_view(&member);
        for effect in &effects {
            if let Effect::SendAll(message) | Effect::Send(_, message) = effect {
                let encoded = codec::encode(message).expect("what a member says can be encoded");
                assert!(
                    codec::decode::<GroupMessage>(&encoded, 64 * LIMIT).is_ok(),
                    "{message:?} cannot be understood"
                );
            }
        }
    }
}

/// What two members really said.
pub fn seeds() -> Vec<Vec<u8>> {
    WORLD.said.iter().filter_map(|message| codec::encode(message).ok()).collect()
}
