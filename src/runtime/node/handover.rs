//! State on its way: kept when an instance is removed, restored when it is added, fetched from the node it lived on.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::world::World;
use crate::{
    io::{
        clock::{self, Stopwatch},
        engine::{Lane, Role, codec},
        store::{State, Store},
    },
    logic::plan::{Adaptation, HandOver, Plan, StateFrom, Subject},
    model::ComponentId,
    runtime::instance::{Failure, Handle},
    words::{InstancePath, NodeName, Time, Value},
};

/// The router's service that answers for kept states.
pub(super) const SERVICE: &str = "state";

/// The most bytes that the state of one instance may have.
pub(super) const STATE_MAX_BYTES: usize = 32 * 1024 * 1024;

/// How often the source of a move is asked while it still works on the revision that gives the state away.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long one such question may take.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// The share of a step's time that is spent on fetching the state, in quarters; the rest is for restoring it. A move has the time of
/// two steps: that is one and a half of them, in which the source can give up an instance that does not stop, and keep its state.
const FETCH_QUARTERS: u32 = 3;

/// How long a node that starts waits for others to say what they hold for it: a round trip, and patience for a busy one.
const HELD_LIMIT: Duration = Duration::from_secs(1);

/// The most bytes of such an answer: a hundred thousand components.
const HELD_MAX_BYTES: usize = 4 * 1024 * 1024;

/// What nodes ask each other about states.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    /// The target of a move asks the source for a state; answered with [`Fetched`].
    Fetch(ComponentId),
    /// A node that starts asks what has moved to it; answered with [`Held`].
    HeldFor(NodeName),
}

/// The states that are held for a node, and when each was taken.
type Held = Vec<(ComponentId, Time)>;

/// What the source answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Fetched {
    /// The state. It is kept here until a newer one takes its place.
    Here(State),
    /// The instance still lives here: ask again.
    NotYet,
    /// Nothing is known of it here.
    Unknown,
}

/// Whether the state of an instance that goes is asked for.
pub(super) fn is_wanted(subject: &Subject, hand_over: &HandOver) -> bool {
    matches!(subject.path, InstancePath::Component(..)) && *hand_over != HandOver::Discard
}

/// Takes the state of a stopped instance and keeps it on disk, as `hand_over` says.
///
/// # Errors
/// When the state cannot be taken or kept: the instance must not go then.
pub(super) async fn keep(
    world: &Rc<World>,
    subject: &Subject,
    hand_over: &HandOver,
    handle: &Handle,
    limit: Duration,
) -> Result<(), String> {
    if !is_wanted(subject, hand_over) {
        return Ok(());
    }
    match to_be_kept(world, subject, hand_over, handle.snapshot(limit).await)? {
        Some(state) => save(world, subject, &state, for_whom(hand_over)).await,
        None => Ok(()),
    }
}

/// The state of an instance that goes, from what it answered; `None` when there is nothing to be kept.
///
/// # Errors
/// When the state cannot be taken: the instance must not go then.
pub(super) fn to_be_kept(
    world: &World,
    subject: &Subject,
    hand_over: &HandOver,
    taken: Result<Value, Failure>,
) -> Result<Option<Value>, String> {
    let state = match taken {
        Ok(state) => state,
        // What crashed has no state to give; the one that was kept last stays.
        Err(Failure::Condition { .. } | Failure::Gone | Failure::Zombie { .. }) => return Ok(None),
        Err(failure) => return Err(format!("its state cannot be taken: {failure}")),
    };
    // Who is made anew from nothing kept starts the same way; what was kept before must not come back, though.
    let says_nothing = *hand_over == HandOver::Forget && is_nothing(&state) && !world.states.may_have(subject.id);
    Ok((!says_nothing).then_some(state))
}

/// The node that a state is kept for, when it is another one.
pub(super) fn for_whom(hand_over: &HandOver) -> Option<NodeName> {
    match hand_over {
        HandOver::Move { to } => Some(to.clone()),
        HandOver::Forget | HandOver::Upgrade { .. } | HandOver::Discard => None,
    }
}

/// Whether a state says nothing: its component starts the same way without it.
pub(super) fn is_nothing(state: &Value) -> bool {
    state.is_null() || state.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Writes a state to disk, for this node or for the one that is to fetch it.
///
/// # Errors
/// What the store says, or that the state is too large.
pub(super) async fn save(
    world: &Rc<World>,
    subject: &Subject,
    state: &Value,
    hand_over: Option<NodeName>,
) -> Result<(), String> {
    let bytes = serde_json::to_vec(state).map_err(|error| format!("its state is no JSON: {error}"))?;
    if bytes.len() > STATE_MAX_BYTES {
        return Err(format!("its state has {} bytes; at most {STATE_MAX_BYTES} are kept", bytes.len()));
    }
    let state = State { type_ref: subject.type_ref.clone(), bytes, taken: clock::now(), hand_over };
    world.states.put(subject.id, state).await
}

/// Whether there may be a state for a new instance.
pub(super) fn may_have(world: &World, subject: &Subject, from: &StateFrom) -> bool {
    match from {
        StateFrom::Nothing => false,
        StateFrom::Kept | StateFrom::Upgrade { .. } => world.states.may_have(subject.id),
        StateFrom::Move { .. } => true,
    }
}

/// Gives a new instance the state that it is to have.
///
/// # Errors
/// When the state does not fit, or its source lives and does not give it in time.
pub(super) async fn restore(
    world: &Rc<World>,
    subject: &Subject,
    from: &StateFrom,
    handle: &Handle,
    limit: Duration,
) -> Result<(), String> {
    let kept = match from {
        StateFrom::Nothing => None,
        StateFrom::Kept | StateFrom::Upgrade { .. } => world.states.get(subject.id).await?,
        StateFrom::Move { from } => {
            let fetched = fetch(world, subject.id, from, limit * FETCH_QUARTERS / 4).await?;
            let own = world.states.get(subject.id).await?;
            match (fetched, own) {
                // The source never had what came after, or is gone: what this node once kept of the instance is the best there is.
                (Some(fetched), Some(own)) if fetched.taken <= own.taken => Some(own),
                (None, own) => own,
                (Some(fetched), _) => {
                    // A crash of this node must not lose what the other has given away.
                    let own = State { hand_over: None, ..fetched.clone() };
                    if let Err(cause) = world.states.put(subject.id, own).await {
                        world.states.goes_on_from(subject.id, fetched.taken);
                        tracing::warn!(instance = %subject.path, cause, "the state that came with it is not on disk yet");
                    }
                    Some(fetched)
                }
            }
        }
    };
    let Some(kept) = kept else { return Ok(()) };
    let (version, state) = read(&kept)?;
    handle.restore(&version, state, limit).await.map_err(|failure| format!("its state does not fit: {failure}"))
}

/// The state that is kept here for an instance, and the version of its type that wrote it.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn kept(world: &World, id: ComponentId) -> Result<Option<(Arc<str>, Value)>, String> {
    world.states.get(id).await?.as_ref().map(read).transpose()
}

fn read(kept: &State) -> Result<(Arc<str>, Value), String> {
    let state = serde_json::from_slice(&kept.bytes).map_err(|error| format!("its kept state is damaged: {error}"))?;
    Ok((kept.type_ref.version.to_string().into(), state))
}

/// Asks the node that a component lived on for its state. `None` when that node is gone or knows nothing.
async fn fetch(world: &Rc<World>, id: ComponentId, from: &NodeName, limit: Duration) -> Result<Option<State>, String> {
    let question = Bytes::from(codec::encode(&Question::Fetch(id)).map_err(|error| error.to_string())?);
    let watch = Stopwatch::start();
    while watch.elapsed() < limit {
        match world.router.ask(from, SERVICE, Lane::Bulk, question.clone(), ASK_LIMIT.min(limit)).await {
            Ok(answer) => match codec::decode(&answer, 2 * STATE_MAX_BYTES).map_err(|error| error.to_string())? {
                Fetched::Here(state) => return Ok(Some(state)),
                Fetched::Unknown => return Ok(None),
                Fetched::NotYet => {}
            },
            Err(error) => {
                let is_up = world.router.peers().iter().any(|peer| peer.name == *from);
                if !is_up {
                    tracing::warn!(node = %from, component = %id, %error, "the state of a moved component is out of reach");
                    return Ok(None);
                }
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    Err(format!("\"{from}\" did not give its state within {limit:?}"))
}

/// A plan of a node that starts: what moved to it while it was away, or when it crashed, comes with its state.
pub(super) async fn with_what_moved(world: &Rc<World>, mut plan: Plan) -> Plan {
    let peers: Vec<NodeName> = {
        let nodes = world.router.peers().into_iter().filter(|peer| peer.role == Role::Node && peer.name != world.me);
        nodes.map(|peer| peer.name).collect()
    };
    let mut newest: BTreeMap<ComponentId, (Time, NodeName)> = BTreeMap::new();
    for (node, held) in join_all(peers.iter().map(|node| held_by(world, node))).await.into_iter().flatten() {
        for (id, taken) in held {
            let known = newest.entry(id).or_insert((taken, node.clone()));
            *known = known.clone().max((taken, node.clone()));
        }
    }
    if newest.is_empty() {
        return plan;
    }
    for (id, own, _) in world.disk.run(Store::states).await.unwrap_or_default() {
        if newest.get(&id).is_some_and(|(taken, _)| *taken <= own) {
            newest.remove(&id);
        }
    }
    for step in &mut plan.steps {
        if let Adaptation::AddInstance { blueprint, state: state @ StateFrom::Kept } = step
            && let Some((_, from)) = newest.get(&blueprint.subject.id)
        {
            *state = StateFrom::Move { from: from.clone() };
        }
    }
    plan
}

/// What another node holds for this one; `None` when it does not say.
async fn held_by(world: &World, node: &NodeName) -> Option<(NodeName, Held)> {
    let question = codec::encode(&Question::HeldFor(world.me.clone())).ok()?;
    let answer = world.router.ask(node, SERVICE, Lane::Control, question.into(), HELD_LIMIT).await;
    let held = codec::decode(&answer.ok()?, HELD_MAX_BYTES).ok()?;
    Some((node.clone(), held))
}

/// Answers a question about states.
pub(super) async fn answer(world: Rc<World>, question: Bytes) -> Result<Bytes, String> {
    let id = match codec::decode(&question, 1024).map_err(|error| error.to_string())? {
        Question::Fetch(id) => id,
        Question::HeldFor(node) => {
            let states = world.disk.run(Store::states).await?;
            let model = world.group().map(|group| group.current().model).unwrap_or_default();
            // Given away, or left here by a crash before it could be.
            let is_for = |(id, _, hand_over): &(ComponentId, Time, Option<NodeName>)| {
                hand_over.as_ref() == Some(&node) || model.path_of(*id).is_some_and(|(place, _)| *place == node)
            };
            let held: Held = states.into_iter().filter(is_for).map(|(id, taken, _)| (id, taken)).collect();
            return codec::encode(&held).map(Bytes::from).map_err(|error| error.to_string());
        }
    };
    let lives_here = world.instances.borrow().iter().any(|slot| slot.subject.id == id && is_component(&slot.subject));
    let fetched =
        if lives_here { Fetched::NotYet } else { world.states.get(id).await?.map_or(Fetched::Unknown, Fetched::Here) };
    codec::encode(&fetched).map(Bytes::from).map_err(|error| error.to_string())
}

fn is_component(subject: &Subject) -> bool {
    matches!(subject.path, InstancePath::Component(..))
}

#[cfg(test)]
mod tests {
    use futures_util::future::{Either, select};

    use super::*;
    use crate::{
        model::Kind,
        runtime::instance::{Inbox, Op, inbox::Event},
        words::{ComponentName, TypeRef},
    };

    const LIMIT: Duration = Duration::from_secs(10);

    fn state(count: u64, taken: u64) -> State {
        let type_ref = TypeRef::new("enact", "Counter", "1.0.0").unwrap();
        State { type_ref, bytes: count.to_string().into(), taken: Time(taken), hand_over: None }
    }

    /// What a component is given that moves from a node which has kept `there` to one that has kept `here`.
    async fn restored(here: State, there: State) -> Value {
        let (world, _) = World::alone(|_| ());
        let mut questions = world.router.serve(SERVICE);
        actix_rt::spawn(async move {
            while let Some(reply) = questions.recv().await.and_then(|question| question.reply) {
                reply.send(Ok(codec::encode(&Fetched::Here(there.clone())).unwrap().into()));
            }
        });
        let path = InstancePath::Component(world.me.clone(), ComponentName::parse("counter").unwrap());
        let subject = Subject { path: path.clone(), type_ref: here.type_ref.clone(), id: ComponentId(1) };
        world.states.put(subject.id, here).await.unwrap();
        let inbox = Inbox::new(path, Kind::Component, 1, Arc::from([]), None);
        let handle = Handle::new(inbox.clone());
        let from = StateFrom::Move { from: world.me.clone() };
        let given = async {
            loop {
                if let Event::Op(Op::Restore { state, .. }, _) = inbox.next(false).await {
                    return *state;
                }
            }
        };
        match select(Box::pin(given), Box::pin(restore(&world, &subject, &from, &handle, LIMIT))).await {
            Either::Left((given, _)) => given,
            Either::Right((restored, _)) => panic!("nothing was given to it: {restored:?}"),
        }
    }

    #[actix_rt::test]
    async fn what_comes_with_a_component_is_the_later_of_what_both_nodes_have_kept() {
        assert_eq!(restored(state(1, 10), state(2, 20)).await, 2);
        assert_eq!(restored(state(2, 20), state(1, 10)).await, 2, "the source has an older life of it");
    }
}
