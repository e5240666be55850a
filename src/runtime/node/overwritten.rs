//! What two pushes that did not know of each other collided in, in people's words: `node1.ticker period = '1s' (now '2s')`.

use super::api::{Overwritten, Revision};
use crate::{
    logic::gossip::{Conflict, Party},
    model::{
        Model,
        change::{Cell, Element, Register},
    },
    runtime::group::GroupHandle,
    words::InstancePath,
};

/// The longest value that is shown whole.
const VALUE_MAX_CHARS: usize = 60;

/// How many older models are looked through for the name of a component that is gone.
const LOOKED_THROUGH_MAX: usize = 64;

/// A collision as the API tells it. A component may be gone by now: then an older model says what it was called.
pub(super) async fn told(conflict: &Conflict, group: &GroupHandle) -> Overwritten {
    let mut models = vec![group.current().model];
    if let Element::Component(id) | Element::Binding(id, ..) = &conflict.element
        && models[0].path_of(*id).is_none()
    {
        // Its loser had it, so those shortly before the loser had it too.
        let upto = conflict.loser.revision.as_ref().map_or(u64::MAX, |id| id.number);
        let history = group.history(usize::MAX).await.unwrap_or_default();
        for revision in history.iter().filter(|revision| revision.id.number <= upto).take(LOOKED_THROUGH_MAX) {
            let older = group.model_at(revision.id.clone()).await.unwrap_or_default();
            if older.path_of(*id).is_some() {
                models.push(older);
                break;
            }
        }
    }
    Overwritten { by: party(&conflict.winner), what: in_words(conflict, &models) }
}

/// A side of a collision. Its node is named too: both sides often gave the same number.
pub(super) fn party(party: &Party) -> Revision {
    party
        .revision
        .as_ref()
        .map_or_else(Revision::default, |id| Revision { number: id.number, origin: Some(id.origin.clone()) })
}

/// What is lost, and what stands there instead. The models say how components are called; the first that knows one counts.
fn in_words(conflict: &Conflict, models: &[Model]) -> String {
    let subject = subject(&conflict.element, models);
    let (lost, kept) = (conflict.lost.as_ref(), conflict.kept.as_ref());
    match (&conflict.register, lost, kept) {
        (Register::Here, Some(Cell::Place(node, name)), Some(_)) => format!("{node}.{name} (now {subject})"),
        (Register::Here, Some(Cell::Place(node, name)), None) => format!("{node}.{name} (removed)"),
        (Register::Here, Some(_), None) => format!("{subject} (removed)"),
        (Register::Here, Some(_), Some(_)) => format!("{subject} (defined otherwise)"),
        (Register::Here, None, _) => format!("removal of {subject}"),
        (register, lost, kept) => {
            let is_secret = is_secret(conflict, models);
            let text = |cell: Option<&Cell>| match cell {
                None => "nothing".to_owned(),
                Some(_) if is_secret => "(secret)".to_owned(),
                Some(cell) => value(cell),
            };
            let now = if is_secret { String::new() } else { format!(" (now {})", text(kept)) };
            format!("{subject} {} = {}{now}", called(register), text(lost))
        }
    }
}

fn subject(element: &Element, models: &[Model]) -> String {
    let component = |id| {
        let place = models.iter().find_map(|model| model.path_of(id));
        place.map_or_else(|| format!("component {id}"), |(node, name)| format!("{node}.{name}"))
    };
    match element {
        Element::Node(name) => name.to_string(),
        Element::Component(id) => component(*id),
        Element::Channel(name) => name.to_string(),
        Element::Group(name) => name.to_string(),
        Element::Binding(id, port, channel) => format!("binding {}.{port} {channel}", component(*id)),
        Element::Type(id) => format!("type {id}"),
        Element::Unit(id) => format!("unit {} {}", id.name, id.version),
        Element::Scope(name) => format!("scope {name}"),
        Element::Repository(url) => format!("repository {url}"),
    }
}

/// A register as scripts call it, where they do.
fn called(register: &Register) -> String {
    match register {
        Register::Here => "here".to_owned(),
        Register::Type => "type".to_owned(),
        Register::Started => "started".to_owned(),
        Register::Host => "host".to_owned(),
        Register::HasDictionary => "dictionary".to_owned(),
        Register::HasFragment(node) => format!("dictionary/{node}"),
        Register::Value(attribute) => attribute.to_string(),
        Register::Fragment(node, attribute) => format!("{attribute}/{node}"),
        Register::Metadata(key) => format!("metadata {key}"),
        Register::Attached(group) => format!("attached to {group}"),
        Register::Network(interface, key) => format!("network {interface}.{key}"),
        Register::Property(attribute) => format!("property {attribute}"),
        Register::Member(node) => format!("member {node}"),
        Register::Port(port) => format!("port {port}"),
    }
}

fn value(cell: &Cell) -> String {
    match cell {
        Cell::Flag(flag) => flag.to_string(),
        Cell::Text(text) if text.chars().count() > VALUE_MAX_CHARS => {
            let start: String = text.chars().take(VALUE_MAX_CHARS - 1).collect();
            format!("'{start}…'")
        }
        Cell::Text(text) => format!("'{text}'"),
        Cell::Node(node) => node.to_string(),
        Cell::Type(id) => id.to_string(),
        Cell::Place(node, name) => format!("{node}.{name}"),
        Cell::Definition(definition) => definition.id.to_string(),
        Cell::Unit(unit) => format!("{} {}", unit.id.name, unit.id.version),
    }
}

/// Values of secret attributes are shown to nobody, not even when they are lost.
fn is_secret(conflict: &Conflict, models: &[Model]) -> bool {
    let (Register::Value(name) | Register::Fragment(_, name)) = &conflict.register else { return false };
    models.iter().any(|model| {
        let path = match &conflict.element {
            Element::Node(name) => Some(InstancePath::Node(name.clone())),
            Element::Component(id) => {
                model.path_of(*id).map(|(node, name)| InstancePath::Component(node.clone(), name.clone()))
            }
            Element::Channel(name) => Some(InstancePath::Channel(name.clone())),
            Element::Group(name) => Some(InstancePath::Group(name.clone())),
            _ => None,
        };
        let definition = path.and_then(|path| model.definition(model.instance(&path)?));
        definition.and_then(|found| found.attribute(name.as_str())).is_some_and(|attribute| attribute.secret)
    })
}
