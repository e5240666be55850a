//! What can be wrong with type definitions and deploy units.

use std::collections::BTreeMap;

use super::{Faults, Place, What};
use crate::{
    model::{DeployUnit, Kind, Model, TypeDefinition, kmf::ODD_DICTIONARY_ID},
    words::UnitRef,
};

/// What can be wrong with a type definition.
pub(super) fn definition(model: &Model, definition: &TypeDefinition, faults: &mut Faults) {
    let place = || Place::Type(definition.id.clone());
    if definition.units.is_empty() && !definition.is_virtual() && definition.kind != Kind::Port {
        faults.add(place(), What::NoUnit {});
    }
    let mut by_platform: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &definition.units {
        match model.units.get(id) {
            Some(unit) => *by_platform.entry(unit.platform().unwrap_or_default()).or_default() += 1,
            None => faults.add(place(), What::UnknownUnit { unit: label(id) }),
        }
    }
    // Units that name no platform are Kevoree's older ones; it takes them as they are.
    for (platform, n_units) in
        by_platform.into_iter().filter(|(platform, n_units)| !platform.is_empty() && *n_units > 1)
    {
        faults.add(place(), What::TwoUnits { n_units, platform: platform.to_owned() });
    }
    for type_ref in definition.super_types.iter().filter(|other| !model.types.contains_key(*other)) {
        faults.add(place(), What::UnknownSuperType { type_ref: type_ref.clone() });
    }
    if let Some(id) = definition.metadata.get(ODD_DICTIONARY_ID) {
        faults.add(place(), What::OddTypeDictionaryId { id: id.to_string() });
    }
    for attribute in definition.attributes.iter().flatten() {
        let default = attribute.default.as_ref().filter(|default| !default.is_empty());
        if let Some(unfit) = default.and_then(|default| attribute.accepts(default).err()) {
            faults.add(place(), What::UnfitDefault { attribute: attribute.name.clone(), unfit });
        }
    }
    for port in &definition.provided {
        if definition.required.iter().any(|other| other.name == port.name) {
            faults.add(place(), What::PortTwice { port: port.name.clone() });
        }
    }
}

/// What can be wrong with a deploy unit.
pub(super) fn unit(model: &Model, unit: &DeployUnit, faults: &mut Faults) {
    for id in unit.requires.iter().filter(|id| !model.units.contains_key(*id)) {
        faults.add(Place::Unit(unit.id.clone()), What::UnknownRequired { unit: label(id) });
    }
}

fn label(id: &UnitRef) -> String {
    format!("{}/{}", id.name, id.version)
}
