//! Which type a script means, and whether a node can run it.

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use super::{Done, Evaluator, GivenUp};
use crate::{
    logic::script::{
        diagnostic::{Code, Diagnostic, Span, did_you_mean},
        parse::version_of,
        statement::{TypeSpec, Units, Version, Wish},
    },
    model::{
        DeployUnit, Dictionary, Edit, Instance, Kind, Node, TypeDefinition,
        library::{Choice, Entry, Library, Tag, UnitVersion},
    },
    words::{Namespace, PortName, TypeName, TypeRef},
};

/// The namespaces that are searched in this order when a script names none.
const DEFAULT_NAMESPACES: [&str; 2] = ["kevoree", "enact"];

/// A type with the units that were asked for.
pub(super) struct Chosen {
    pub(super) definition: Arc<TypeDefinition>,
    units: Vec<Arc<DeployUnit>>,
    platforms: BTreeSet<String>,
    /// Whether the script said which units it wants.
    explicit: bool,
}

impl Chosen {
    pub(super) fn id(&self) -> &TypeRef {
        &self.definition.id
    }

    pub(super) fn kind(&self) -> Kind {
        self.definition.kind
    }

    pub(super) fn provided(&self) -> Vec<PortName> {
        self.definition.provided.iter().map(|port| port.name.clone()).collect()
    }

    pub(super) fn required(&self) -> Vec<PortName> {
        self.definition.required.iter().map(|port| port.name.clone()).collect()
    }

    /// A started instance with the defaults of all attributes that are not fragment dependent.
    pub(super) fn instance(&self) -> Instance {
        let mut instance = Instance::of(self.id().clone());
        instance.dictionary = Some(defaults(&self.definition, false));
        instance
    }
}

impl Evaluator<'_> {
    /// The type that a script means.
    pub(super) fn chosen(&mut self, spec: &TypeSpec) -> Done<Rc<Chosen>> {
        let key = spec.to_string();
        if let Some(chosen) = self.types.get(&key) {
            return Ok(chosen.clone());
        }
        let chosen = Rc::new(self.choose(spec)?);
        self.types.insert(key, chosen.clone());
        Ok(chosen)
    }

    fn choose(&mut self, spec: &TypeSpec) -> Done<Chosen> {
        let entry = self.entry(spec)?;
        let id = entry.definition.id.clone();
        if entry.definition.is_abstract {
            let message = format!("type `{id}` is abstract: it has no instances");
            return Err(self.report(Diagnostic::new(Code::AbstractType, spec.name_place.0, message)));
        }
        let choice = self.choice(&spec.units)?;
        if let (None, Some(there)) = (&choice, self.model.types.get(&id))
            && same_but_for_units(there, &entry.definition)
        {
            let units = there.units.iter().filter_map(|unit| self.model.units.get(unit));
            let units: Vec<_> = units.map(|unit| Arc::new((**unit).clone())).collect();
            return Ok(Chosen::new(Arc::new((**there).clone()), units, false));
        }
        let explicit = choice.is_some();
        match entry.instantiate(&choice.unwrap_or_default()) {
            Ok((definition, units)) if units.is_empty() && !definition.is_virtual() => {
                let message = format!("type `{id}` has no deploy unit: no node can run it");
                Err(self.report(Diagnostic::new(Code::NoUnit, spec.place.0, message)))
            }
            Ok((definition, units)) => {
                Ok(Chosen::new(Arc::new(definition), units.into_iter().map(Arc::new).collect(), explicit))
            }
            Err(error) => Err(self.report(Diagnostic::new(Code::NoUnit, spec.place.0, error.to_string()))),
        }
    }

    fn entry(&mut self, spec: &TypeSpec) -> Done<Entry> {
        let version = self.version(&spec.version)?;
        let name: TypeName = self.name(&spec.name, spec.name_place.0)?;
        let namespace = match &spec.namespace {
            Some(namespace) => Some(self.name::<Namespace>(namespace, spec.name_place.0)?),
            None => None,
        };
        let library = self.library;
        let mut found = entries(library, namespace.as_ref(), &name, version.as_deref());
        if found.is_empty() {
            // Nobody may bring the type any more: what the model has of it will do.
            found = entries(&Library::of(&self.model), namespace.as_ref(), &name, version.as_deref());
        }
        match found.len() {
            0 => Err(self.unknown_type(spec, &name, namespace.as_ref(), version.as_deref())),
            1 => Ok(found.remove(0)),
            _ => {
                let there: Vec<&str> = found.iter().map(|entry| entry.definition.id.namespace.as_str()).collect();
                let message = format!("type `{name}` is in several namespaces: {}", there.join(", "));
                let help = format!("write `{}.{name}`", there[0]);
                Err(self.report(Diagnostic::new(Code::Ambiguous, spec.name_place.0, message).help(help)))
            }
        }
    }

    /// The version that is asked for; `None` is the highest.
    fn version(&mut self, version: &Version) -> Done<Option<Arc<str>>> {
        let (name, place) = match version {
            Version::Unsaid | Version::Latest => return Ok(None),
            Version::Exact(version) => return Ok(Some(version.clone())),
            Version::Variable(name, place) => (name, place),
        };
        let value = self.variable(name, place.0)?;
        match version_of(&value) {
            Some(Version::Exact(version)) => Ok(Some(version)),
            Some(_) => Ok(None),
            None => {
                let message = format!("`%{name}%` is `{value}`, which is no version of a type");
                let diagnostic = Diagnostic::new(Code::BadName, place.0, message);
                Err(self.report(diagnostic.help("a number, numbers with dots, or LATEST")))
            }
        }
    }

    fn unknown_type(
        &mut self,
        spec: &TypeSpec,
        name: &TypeName,
        namespace: Option<&Namespace>,
        version: Option<&str>,
    ) -> GivenUp {
        let library = self.library;
        let namespaces = library.namespaces_of(name).filter(|there| namespace.is_none_or(|wanted| wanted == *there));
        let versions = namespaces.flat_map(|namespace| library.versions(namespace, name));
        let versions: Vec<String> = versions.map(|entry| entry.definition.id.version.to_string()).collect();
        if let (Some(version), false) = (version, versions.is_empty()) {
            let message = format!("type `{name}` has no version {version}");
            let help = format!("it has: {}", versions.join(", "));
            return self.report(Diagnostic::new(Code::UnknownType, spec.place.0, message).help(help));
        }
        let meant = did_you_mean(name.as_str(), library.iter().map(|entry| entry.definition.id.name.as_str()));
        let elsewhere = spec.namespace.as_ref().and_then(|_| library.namespaces_of(name).next());
        let (message, help) = match (&spec.namespace, elsewhere) {
            (Some(namespace), Some(other)) => {
                (format!("namespace `{namespace}` has no type `{name}`"), format!("did you mean `{other}.{name}`?"))
            }
            (Some(namespace), None) => (format!("namespace `{namespace}` has no type `{name}`"), meant),
            (None, _) if library.is_empty() => (format!("there is no type `{name}`: no types are known at all"), meant),
            (None, _) => (format!("there is no type `{name}`"), meant),
        };
        self.report(Diagnostic::new(Code::UnknownType, spec.name_place.0, message).help(help))
    }

    /// What is asked of the units; `None` when nothing is said.
    fn choice(&mut self, units: &Units) -> Done<Option<Choice>> {
        Ok(Some(match units {
            Units::Unsaid => return Ok(None),
            Units::Each(wishes) if wishes.is_empty() => return Ok(None),
            Units::Tag(wish) => match self.wish(wish)? {
                UnitVersion::Tagged(tag) => Choice::Tagged(tag),
                UnitVersion::Exact(version) => {
                    let message = format!("`{version}` does not say of which platform");
                    let diagnostic = Diagnostic::new(Code::NoUnit, self.here, message);
                    return Err(self.report(diagnostic.help(format!("RELEASE, LATEST or {{js: '{version}'}}"))));
                }
            },
            Units::Each(wishes) => {
                let pairs = wishes.iter().map(|(platform, wish)| Ok((platform.to_string(), self.wish(wish)?)));
                Choice::Platforms(pairs.collect::<Done<_>>()?)
            }
        }))
    }

    fn wish(&mut self, wish: &Wish) -> Done<UnitVersion> {
        let tag = |text: &str| match text {
            "RELEASE" => UnitVersion::Tagged(Tag::Release),
            "LATEST" => UnitVersion::Tagged(Tag::Latest),
            version => UnitVersion::Exact(version.to_owned()),
        };
        Ok(match wish {
            Wish::Release => UnitVersion::Tagged(Tag::Release),
            Wish::Latest => UnitVersion::Tagged(Tag::Latest),
            Wish::Exact(version) => tag(version),
            Wish::Variable(name, place) => tag(&self.variable(name, place.0)?),
        })
    }

    /// Takes a type and its units into the model, unless they are there.
    pub(super) fn adopt(&mut self, chosen: &Chosen) -> Done {
        let there = self.model.types.get(chosen.id());
        let fits = there.is_some_and(|there| match chosen.explicit {
            true => **there == *chosen.definition,
            false => same_but_for_units(there, &chosen.definition),
        });
        if fits {
            return Ok(());
        }
        for unit in &chosen.units {
            if self.model.units.get(&unit.id).is_none_or(|there| **there != **unit) {
                self.push(Edit::AddUnit(unit.clone()))?;
            }
        }
        self.push(Edit::AddType(chosen.definition.clone()))
    }

    /// Whether a node can run a type; reports it when it cannot.
    pub(super) fn fits_platform(&mut self, chosen: &Chosen, node: &Node, name: &str, span: Span) -> Done {
        let platforms = self.platforms_of(node);
        let any = platforms.is_empty() || chosen.definition.is_virtual() || chosen.platforms.contains("");
        if any || platforms.iter().any(|platform| chosen.platforms.contains(platform)) {
            return Ok(());
        }
        let there: Vec<&str> = chosen.platforms.iter().map(String::as_str).collect();
        let wanted: Vec<&str> = platforms.iter().map(String::as_str).collect();
        let message =
            format!("`{}` cannot run on node `{name}`: it has no unit for platform {}", chosen.id(), wanted.join(", "));
        let help = format!("it has units for: {}", there.join(", "));
        Err(self.report(Diagnostic::new(Code::WrongPlatform, span, message).help(help)))
    }

    /// The platforms of a node; empty when it runs anything (a virtual node, or one of a type that is not known).
    fn platforms_of(&self, node: &Node) -> BTreeSet<String> {
        let Some(definition) = self.model.definition(&node.instance) else { return BTreeSet::new() };
        let units = definition.units.iter().filter_map(|unit| self.model.units.get(unit));
        units.filter_map(|unit| unit.platform().map(str::to_owned)).collect()
    }

    /// The type that an instance in the model has, as if it had been asked for.
    pub(super) fn chosen_of(&self, instance: &Instance) -> Option<Chosen> {
        let definition = self.model.definition(instance)?;
        let units = definition.units.iter().filter_map(|unit| self.model.units.get(unit));
        let units = units.map(|unit| Arc::new((**unit).clone())).collect();
        Some(Chosen::new(Arc::new((**definition).clone()), units, false))
    }
}

impl Chosen {
    fn new(definition: Arc<TypeDefinition>, units: Vec<Arc<DeployUnit>>, explicit: bool) -> Chosen {
        let platforms = units.iter().map(|unit| unit.platform().unwrap_or_default().to_owned()).collect();
        Chosen { definition, units, platforms, explicit }
    }
}

/// Whether two definitions say the same, whatever units bring them.
fn same_but_for_units(a: &TypeDefinition, b: &TypeDefinition) -> bool {
    let TypeDefinition { id, kind, is_abstract, units: _, super_types, attributes, provided, required, metadata } = a;
    *id == b.id
        && *kind == b.kind
        && *is_abstract == b.is_abstract
        && *super_types == b.super_types
        && *attributes == b.attributes
        && *provided == b.provided
        && *required == b.required
        && *metadata == b.metadata
}

/// The defaults of a type's attributes: of those that are fragment dependent, or of the others.
pub(super) fn defaults(definition: &TypeDefinition, fragment: bool) -> Dictionary {
    let attributes = definition.attributes.iter().flatten().filter(|attribute| attribute.fragment == fragment);
    attributes.filter_map(|attribute| Some((attribute.name.clone(), attribute.default.clone()?))).collect()
}

/// The types that are meant: the one of the namespace, else the first of the default namespaces that has one, else all.
fn entries(library: &Library, namespace: Option<&Namespace>, name: &TypeName, version: Option<&str>) -> Vec<Entry> {
    let find = |namespace: &Namespace| library.find(namespace, name, version).cloned();
    if let Some(namespace) = namespace {
        return find(namespace).into_iter().collect();
    }
    let there: Vec<&Namespace> = library.namespaces_of(name).collect();
    let default = DEFAULT_NAMESPACES.iter().filter_map(|wanted| there.iter().find(|there| there.as_str() == *wanted));
    match default.filter_map(|namespace| find(namespace)).next() {
        Some(entry) => vec![entry],
        None => there.into_iter().filter_map(find).collect(),
    }
}
