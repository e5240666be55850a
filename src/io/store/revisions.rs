//! The revisions that the node was given: who, when and why, and the model of each.
//!
//! A model is kept as what changed since the one before, and now and then as a whole; reading one takes the last whole model
//! before it and the changes since.

use std::sync::PoisonError;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{META, Store, StoreError, error::Fault, get, plans::PLAN_ENDS, seal, unseal};
use crate::{
    logic::gossip::{Revision, RevisionId},
    model::{Change, Model, change},
};

const HEADS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("revisions");
const PLACES: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("revision-places");
const BODIES: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("models");

/// A whole model after so many deltas, so that reading one applies a bounded number of them.
const DELTAS_MAX: u64 = 64;

/// A delta with more changes than a part of the model has registers is not worth it.
const DELTA_CHANGES_MAX: usize = 10_000;

#[derive(Serialize, Deserialize)]
enum Body {
    Whole(Box<Model>),
    Delta(Vec<Change>),
}

#[derive(Serialize, Deserialize)]
struct Head {
    revision: Revision,
    /// The place of the whole model that this one is built on.
    base: u64,
}

/// The revision added last, to find out what the next one changes.
#[derive(Debug)]
pub(super) struct Latest {
    place: u64,
    base: u64,
    model: Model,
}

impl Store {
    /// Adds a revision and its model. One that is there already is left as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn add_revision(&self, revision: &Revision, model: &Model) -> Result<(), StoreError> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let added = self.write(|txn| {
            let mut heads = txn.open_table(HEADS)?;
            let mut places = txn.open_table(PLACES)?;
            if place_of(&places, &revision.id)?.is_some() {
                return Ok(None);
            }
            let place = heads.last()?.map_or(0, |(key, _)| key.value() + 1);
            let delta = latest.as_ref().filter(|latest| latest.place + 1 == place && place - latest.base < DELTAS_MAX);
            let delta = delta.map(|latest| (latest.base, change::diff(&latest.model, model)));
            let (base, body) = match delta.filter(|(_, changes)| changes.len() <= DELTA_CHANGES_MAX) {
                Some((base, changes)) => (base, Body::Delta(changes)),
                None => (place, Body::Whole(Box::new(model.clone()))),
            };
            heads.insert(place, seal(&Head { revision: revision.clone(), base })?.as_slice())?;
            txn.open_table(BODIES)?.insert(place, seal(&body)?.as_slice())?;
            places.insert(revision.id.to_string().as_str(), place)?;
            drop((heads, places));
            self.trim(txn, place)?;
            Ok(Some((place, base)))
        })?;
        if let Some((place, base)) = added {
            *latest = Some(Latest { place, base, model: model.clone() });
        }
        Ok(())
    }

    /// Drops what is older than the history may be, but for what the kept ones are built on, and those of the plan under way.
    fn trim(&self, txn: &WriteTransaction, newest: u64) -> Result<(), Fault> {
        let (mut heads, mut places) = (txn.open_table(HEADS)?, txn.open_table(PLACES)?);
        let first = heads.first()?.map_or(0, |(key, _)| key.value());
        let horizon = (newest + 1).saturating_sub(self.keep_revisions as u64);
        if first >= horizon {
            return Ok(());
        }
        let meta = txn.open_table(META)?;
        let (from, to): (Option<RevisionId>, Option<RevisionId>) = get(&meta, PLAN_ENDS)?.unwrap_or_default();
        let below = base_of(&heads, horizon)?..horizon;
        let mut needed = vec![below];
        for id in [from, to].into_iter().flatten() {
            if let Some(place) = place_of(&places, &id)? {
                needed.push(base_of(&heads, place)?..place + 1);
            }
        }
        let mut bodies = txn.open_table(BODIES)?;
        let old: Vec<u64> =
            heads.range(first..horizon)?.map(|entry| Ok(entry?.0.value())).collect::<Result<_, Fault>>()?;
        for place in old.into_iter().filter(|place| !needed.iter().any(|range| range.contains(place))) {
            let gone = heads.remove(place)?.map(|bytes| head(bytes.value())).transpose()?;
            bodies.remove(place)?;
            if let Some(gone) = gone {
                places.remove(gone.revision.id.to_string().as_str())?;
            }
        }
        Ok(())
    }

    /// The revisions, the newest first, at most so many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn revisions(&self, max: usize) -> Result<Vec<Revision>, StoreError> {
        self.read(|txn| {
            let heads = txn.open_table(HEADS)?;
            let newest = heads.iter()?.rev().take(max);
            newest.map(|entry| Ok(head(entry?.1.value())?.revision)).collect()
        })
    }

    /// The model of a revision; `None` when it is not, or no longer, known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn model(&self, id: &RevisionId) -> Result<Option<Model>, StoreError> {
        self.read(|txn| model_of(txn, id))
    }

    /// The newest revision and its model.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest(&self) -> Result<Option<(Revision, Model)>, StoreError> {
        self.read(|txn| {
            let newest = txn.open_table(HEADS)?.last()?.map(|(place, _)| place.value());
            newest.map(|place| read_at(txn, place)).transpose()
        })
    }
}

/// Whether a revision is in the history.
pub(super) fn knows(txn: &WriteTransaction, id: &RevisionId) -> Result<bool, Fault> {
    Ok(place_of(&txn.open_table(PLACES)?, id)?.is_some())
}

/// The model of a revision that is in the history.
pub(super) fn model_of(txn: &ReadTransaction, id: &RevisionId) -> Result<Option<Model>, Fault> {
    let place = place_of(&txn.open_table(PLACES)?, id)?;
    place.map(|place| Ok(read_at(txn, place)?.1)).transpose()
}

fn place_of(places: &impl ReadableTable<&'static str, u64>, id: &RevisionId) -> Result<Option<u64>, Fault> {
    Ok(places.get(id.to_string().as_str())?.map(|place| place.value()))
}

fn base_of(heads: &impl ReadableTable<u64, &'static [u8]>, place: u64) -> Result<u64, Fault> {
    let bytes = heads.get(place)?;
    bytes.map_or(Ok(place), |bytes| Ok(head(bytes.value())?.base))
}

fn head(bytes: &[u8]) -> Result<Head, Fault> {
    unseal(bytes, "a revision")
}

/// The revision at a place and its model.
fn read_at(txn: &ReadTransaction, place: u64) -> Result<(Revision, Model), Fault> {
    let missing = || Fault::Damaged("a revision of the history is missing".to_owned());
    let Head { revision, base } = head(txn.open_table(HEADS)?.get(place)?.ok_or_else(missing)?.value())?;
    let bodies = txn.open_table(BODIES)?;
    let body = |place: u64| -> Result<Body, Fault> {
        unseal(bodies.get(place)?.ok_or_else(missing)?.value(), "the model of a revision")
    };
    let Body::Whole(model) = body(base)? else { return Err(missing()) };
    let mut model = *model;
    for place in base + 1..=place {
        let Body::Delta(changes) = body(place)? else { return Err(missing()) };
        change::patch(&mut model, &changes);
    }
    Ok((revision, model))
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &redb::WriteTransaction) -> Result<(), Fault> {
    txn.open_table(HEADS)?;
    txn.open_table(PLACES)?;
    txn.open_table(BODIES)?;
    Ok(())
}
