//! A component that is a hand-written actix actor.

use actix::{Actor, Context, Handler};
use enact::{
    model::Dictionary,
    prelude::*,
    runtime::{
        component::{
            InputDef, OutputDef, ParamDef, Reply, Values,
            custom::{CustomActor, Input, Made, Outputs, Start, Stop, Update},
        },
        instance::Failure,
    },
};

use crate::thermometer::Reading;

/// Sends the readings that are too warm.
pub struct Alarm {
    above: f64,
    n_alarms: u64,
    outputs: Outputs,
}

impl Actor for Alarm {
    type Context = Context<Self>;
}

impl CustomActor for Alarm {
    const NAME: &'static str = "Alarm";
    const VERSION: &'static str = "1.0.0";
    const NAMESPACE: &'static str = "weather";
    const DOC: &'static str = "Sends the readings that are too warm";
    const PARAMS: &'static [ParamDef] = &[ParamDef { doc: "What is too warm", ..ParamDef::of::<f64>("above") }];
    const INPUTS: &'static [InputDef] =
        &[InputDef::of::<Reading>("reading"), InputDef { doc: "How many there were", ..InputDef::of::<()>("count") }];
    const OUTPUTS: &'static [OutputDef] = &[OutputDef::of::<Reading>("alarm")];

    fn make(made: Made) -> Result<Self> {
        Ok(Alarm { above: above(&made.dictionary)?, n_alarms: 0, outputs: made.outputs })
    }
}

fn above(dictionary: &Dictionary) -> Result<f64> {
    let mut values = Values::new(Alarm::PARAMS, dictionary);
    let above = values.get("above");
    values.finish().map_err(Failure::Params)?;
    Ok(above.unwrap_or_default())
}

impl Handler<Start> for Alarm {
    type Result = Result;
    fn handle(&mut self, _: Start, _: &mut Context<Self>) -> Result {
        Ok(())
    }
}

impl Handler<Stop> for Alarm {
    type Result = Result;
    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Result {
        Ok(())
    }
}

impl Handler<Update> for Alarm {
    type Result = Result;
    fn handle(&mut self, Update(dictionary): Update, _: &mut Context<Self>) -> Result {
        self.above = above(&dictionary)?;
        Ok(())
    }
}

impl Handler<Input> for Alarm {
    type Result = Result<Reply>;
    fn handle(&mut self, Input { port, message }: Input, _: &mut Context<Self>) -> Result<Reply> {
        if port.as_str() == "count" {
            return Ok(Reply::of(self.n_alarms));
        }
        let reading: Reading = message.decode()?;
        if reading.celsius > self.above {
            self.n_alarms += 1;
            self.outputs.send("alarm", Message::new(reading))?;
        }
        Ok(Reply::NONE)
    }
}
