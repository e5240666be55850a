//! KMF paths: `/nodes[n]/components[c]`, `/packages[kevoree]/typeDefinitions[name=Ticker,version=1]`.

use std::fmt;

use crate::words::{
    ChannelName, ComponentName, GroupName, Namespace, NodeName, PortName, PortPath, TypeName, TypeRef, UnitRef,
};

/// One step of a path: a relation and the key of an object in it.
type Step<'a> = (&'a str, &'a str);

/// The steps of a path; the leading slash may be missing, keys may have slashes.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    while !rest.is_empty() {
        let (relation, after) = rest.split_once('[')?;
        let end = after.find("]/").or_else(|| after.ends_with(']').then(|| after.len() - 1))?;
        steps.push((relation, &after[..end]));
        rest = after[end + 1..].strip_prefix('/').unwrap_or(&after[end + 1..]);
    }
    Some(steps)
}

/// A part of a compound key: `version` of `name=Ticker,version=1`.
fn part<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    key.split(',').find_map(|part| part.split_once('=').filter(|(found, _)| *found == name).map(|(_, value)| value))
}

/// The namespace that steps over packages name.
fn namespace(steps: &[Step<'_>]) -> Option<Namespace> {
    let mut names = Vec::with_capacity(steps.len());
    for (relation, key) in steps {
        names.push((*relation == "packages").then_some(*key)?);
    }
    Namespace::parse(&names.join(".")).ok()
}

pub(super) fn type_ref(path: &str) -> Option<TypeRef> {
    let steps = steps(path)?;
    let (("typeDefinitions", key), packages) = steps.split_last()? else { return None };
    Some(TypeRef {
        namespace: namespace(packages)?,
        name: TypeName::parse(part(key, "name")?).ok()?,
        version: part(key, "version")?.into(),
    })
}

pub(super) fn unit_ref(path: &str) -> Option<UnitRef> {
    let steps = steps(path)?;
    let (("deployUnits", key), packages) = steps.split_last()? else { return None };
    Some(UnitRef {
        namespace: namespace(packages)?,
        name: part(key, "name")?.into(),
        version: part(key, "version")?.into(),
        hashcode: part(key, "hashcode").unwrap_or_default().into(),
    })
}

pub(super) fn node(path: &str) -> Option<NodeName> {
    match steps(path)?[..] {
        [("nodes", name)] => NodeName::parse(name).ok(),
        _ => None,
    }
}

pub(super) fn group(path: &str) -> Option<GroupName> {
    match steps(path)?[..] {
        [("groups", name)] => GroupName::parse(name).ok(),
        _ => None,
    }
}

pub(super) fn channel(path: &str) -> Option<ChannelName> {
    match steps(path)?[..] {
        [("hubs", name)] => ChannelName::parse(name).ok(),
        _ => None,
    }
}

pub(super) fn port(path: &str) -> Option<PortPath> {
    match steps(path)?[..] {
        [("nodes", node), ("components", component), ("provided" | "required", port)] => Some(PortPath {
            node: NodeName::parse(node).ok()?,
            component: ComponentName::parse(component).ok()?,
            port: PortName::parse(port).ok()?,
        }),
        _ => None,
    }
}

/// Something's path, to be written.
pub(super) struct PathOf<'a, T>(pub(super) &'a T);

macro_rules! named {
    ($($name:ty => $relation:literal),*) => {$(
        impl fmt::Display for PathOf<'_, $name> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("/", $relation, "[{}]"), self.0)
            }
        }
    )*};
}

named!(NodeName => "nodes", GroupName => "groups", ChannelName => "hubs");

impl fmt::Display for PathOf<'_, Namespace> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.parts().try_for_each(|part| write!(f, "/packages[{part}]"))
    }
}

impl fmt::Display for PathOf<'_, TypeRef> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TypeRef { namespace, name, version } = self.0;
        write!(f, "{}/typeDefinitions[name={name},version={version}]", PathOf(namespace))
    }
}

impl fmt::Display for PathOf<'_, UnitRef> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnitRef { namespace, name, version, hashcode } = self.0;
        write!(f, "{}/deployUnits[hashcode={hashcode},name={name},version={version}]", PathOf(namespace))
    }
}

/// The id of a binding, which Kevoree computes from the paths of its two ends.
pub(super) fn binding_id(hub: &str, port: &str) -> i32 {
    let text = hub.chars().chain(['_']).chain(port.chars());
    let hash = text.fold(0_i32, |hash, c| (hash << 5).wrapping_sub(hash).wrapping_add(c as i32));
    hash & 0xfff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_has_the_id_that_kevoree_computes() {
        // From cases/models/samples/sample-2nodes-raw.json.
        assert_eq!(binding_id("/hubs[chan]", "/nodes[node0]/components[ticker]/required[tick]"), 131_309_180);
        assert_eq!(binding_id("/hubs[chan]", "/nodes[node1]/components[printer]/provided[input]"), 230_602_234);
    }

    #[test]
    fn paths_are_read_with_or_without_slash_and_over_nested_packages() {
        let found =
            type_ref("packages[org]/packages[kevoree]/typeDefinitions[version=1-SNAPSHOT,name=Ticker]").unwrap();
        assert_eq!(found.to_string(), "org.kevoree.Ticker/1-SNAPSHOT");
        let unit = unit_ref("/packages[kevoree]/deployUnits[hashcode=,name=@scope/unit,version=1.0]").unwrap();
        assert_eq!((&*unit.name, &*unit.version, &*unit.hashcode), ("@scope/unit", "1.0", ""));
        assert_eq!(port("/nodes[n]/components[c]/required[out]").unwrap().to_string(), "n.c.out");
        for bad in ["", "/", "/nodes", "/nodes[", "/nodes[n", "/nodes[n]]/components[c]", "/hubs[c]/nodes[n]", "]["] {
            assert!(node(bad).is_none() && type_ref(bad).is_none() && port(bad).is_none(), "{bad}");
        }
    }
}
