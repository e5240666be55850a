//! Bindings: which port hangs on which channel, found quickly from either end.

use std::sync::LazyLock;

use imbl::OrdSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::words::{ChannelName, ComponentName, NodeName, PortName, PortPath};

/// One port on one channel. Whether it sends or receives follows from the port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Binding {
    /// The port.
    pub port: PortPath,
    /// The channel.
    pub channel: ChannelName,
}

/// All bindings of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings {
    by_port: OrdSet<Binding>,
    by_channel: OrdSet<(ChannelName, PortPath)>,
}

impl Bindings {
    /// Adds a binding; false when it is there already.
    pub fn insert(&mut self, binding: Binding) -> bool {
        self.by_channel.insert((binding.channel.clone(), binding.port.clone()));
        self.by_port.insert(binding).is_none()
    }

    /// Removes a binding; false when it is not there.
    pub fn remove(&mut self, binding: &Binding) -> bool {
        self.by_channel.remove(&(binding.channel.clone(), binding.port.clone()));
        self.by_port.remove(binding).is_some()
    }

    /// Whether the binding is there.
    pub fn contains(&self, binding: &Binding) -> bool {
        self.by_port.contains(binding)
    }

    /// All bindings in order of port.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.by_port.iter()
    }

    /// The bindings in order of port, as a persistent set (to compare with another model's).
    pub fn as_set(&self) -> &OrdSet<Binding> {
        &self.by_port
    }

    /// The ports on a channel.
    pub fn of_channel<'a>(&'a self, channel: &'a ChannelName) -> impl Iterator<Item = &'a PortPath> {
        let from = (channel.clone(), first_port());
        self.by_channel.range(from..).take_while(move |(name, _)| name == channel).map(|(_, port)| port)
    }

    /// The ports on a channel that belong to components of a node.
    pub fn of_channel_on<'a>(
        &'a self,
        channel: &'a ChannelName,
        node: &'a NodeName,
    ) -> impl Iterator<Item = &'a PortPath> {
        let from = (channel.clone(), PortPath { node: node.clone(), ..first_port() });
        self.by_channel
            .range(from..)
            .take_while(move |(name, port)| name == channel && port.node == *node)
            .map(|(_, port)| port)
    }

    /// The bindings of a component's ports.
    pub fn of_component<'a>(
        &'a self,
        node: &'a NodeName,
        component: &'a ComponentName,
    ) -> impl Iterator<Item = &'a Binding> {
        let port = PortPath { node: node.clone(), component: component.clone(), ..first_port() };
        self.by_port
            .range(Binding { port, channel: first_channel() }..)
            .take_while(move |binding| binding.port.node == *node && binding.port.component == *component)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_port.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_port.is_empty()
    }
}

/// "-" is the smallest name there is: a range that starts with it misses nothing.
const SMALLEST: &str = "-";

// Asked for with every search: parsed once.
fn first_port() -> PortPath {
    static FIRST: LazyLock<PortPath> = LazyLock::new(|| PortPath {
        node: NodeName::parse(SMALLEST).expect("a valid name"),
        component: ComponentName::parse(SMALLEST).expect("a valid name"),
        port: PortName::parse(SMALLEST).expect("a valid name"),
    });
    FIRST.clone()
}

fn first_channel() -> ChannelName {
    static FIRST: LazyLock<ChannelName> = LazyLock::new(|| ChannelName::parse(SMALLEST).expect("a valid name"));
    FIRST.clone()
}

impl FromIterator<Binding> for Bindings {
    fn from_iter<I: IntoIterator<Item = Binding>>(bindings: I) -> Self {
        let mut all = Bindings::default();
        for binding in bindings {
            all.insert(binding);
        }
        all
    }
}

impl Serialize for Bindings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.by_port.iter())
    }
}

impl<'de> Deserialize<'de> for Bindings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Binding>::deserialize(deserializer)?.into_iter().collect())
    }
}
