//! `rollcall db`

use anyhow::Result;

use super::Context;
use crate::cli::Db;
use crate::failure::Exit;
use crate::screens::listing;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Db) -> Result<Exit> {
    let config = context.config()?;
    let url = config.database_url(context.global.database_url.as_ref());
    let state = wiring::migrations(&url, matches!(arguments, Db::Migrate)).await?;
    if context.output.is_json() {
        context.output.json(&state)?;
    } else {
        context.output.text(&listing::database(&state))?;
    }
    Ok(Exit::Done)
}
