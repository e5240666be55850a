//! A component by the plain traits, without any macro.

use enact::{
    model::Dictionary,
    prelude::*,
    runtime::{
        component::{Behaviour, ComponentType, InputDef, ParamDef, Reply, Values},
        instance::ParamError,
    },
};

use crate::thermometer::Reading;

/// The average of the last readings.
pub struct Average {
    over: usize,
    last: Vec<f64>,
}

impl ComponentType for Average {
    const NAME: &'static str = "Average";
    const VERSION: &'static str = "1.0.0";
    const NAMESPACE: &'static str = "weather";
    const DOC: &'static str = "The average of the last readings";
    const CRATE: (&'static str, &'static str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    const PARAMS: &'static [ParamDef] =
        &[ParamDef { default: Some("10"), min: Some("1"), doc: "Over how many", ..ParamDef::of::<u64>("over") }];

    fn build(dictionary: &Dictionary) -> Result<Self, Vec<ParamError>> {
        Ok(Average { over: over(dictionary)?, last: Vec::new() })
    }

    fn set(&mut self, dictionary: &Dictionary) -> Result<Changed, Vec<ParamError>> {
        let before = std::mem::replace(&mut self.over, over(dictionary)?);
        Ok(Changed(if before == self.over { vec![] } else { vec!["over"] }))
    }

    fn snapshot(&self) -> Result<Value> {
        to_value(&self.last)
    }

    fn restore(&mut self, state: Value) -> Result {
        self.last = from_value(state)?;
        Ok(())
    }
}

fn over(dictionary: &Dictionary) -> Result<usize, Vec<ParamError>> {
    let mut values = Values::new(Average::PARAMS, dictionary);
    let over: Option<u64> = values.get("over");
    values.finish()?;
    Ok(over.unwrap_or(1) as usize)
}

impl Behaviour for Average {
    const INPUTS: &'static [InputDef] = &[
        InputDef { doc: "A reading", ..InputDef::of::<Reading>("reading") },
        InputDef { doc: "The average; null before the first reading", ..InputDef::of::<()>("average") },
    ];

    async fn on_update(&mut self, _changed: &Changed, _ctx: &mut Ctx<Self>) -> Result {
        Ok(())
    }

    async fn on_input(&mut self, port: &str, message: Message, _ctx: &mut Ctx<Self>) -> Result<Reply> {
        if port == "average" {
            let sum: f64 = self.last.iter().sum();
            return Ok(Reply::of((!self.last.is_empty()).then(|| sum / self.last.len() as f64)));
        }
        let reading: Reading = message.decode()?;
        self.last.push(reading.celsius);
        let too_many = self.last.len().saturating_sub(self.over);
        self.last.drain(..too_many);
        Ok(Reply::NONE)
    }
}
