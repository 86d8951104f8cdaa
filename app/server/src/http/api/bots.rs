//! Bots: programs that an operator lets in.

use axum::extract::State;
use rollcall_protocol::Account;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    accounts::checked_name,
    auth::Operator,
    envelope::{Created, Envelope, Failure, Refused},
    extract::Body,
};
use crate::{app::App, people::Dismissal};

/// Which bot.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewBot {
    #[schema(min_length = 1, max_length = 32, format = "display-name")]
    name: String,
}

/// A bot, and what it comes with.
#[derive(Serialize, ToSchema)]
pub struct BotInfo {
    /// The token, which does not end: it is told once.
    token: String,
    account: Account,
    member: String,
}

/// Makes a bot. One that is there gets a new token: whatever came with the old one has to go.
#[utoipa::path(
    post,
    path = "/api/v1/bots",
    tag = "operators",
    request_body = NewBot,
    responses((status = 201, description = "The bot, and its token.", body = Envelope<BotInfo>), Refused)
)]
pub async fn make(
    State(app): State<App>,
    Operator: Operator,
    Body(NewBot { name }): Body<NewBot>,
) -> Result<Created<BotInfo>, Failure> {
    checked_name(&name)?;
    let opened = app.accounts.make_bot(&name).await?;
    let (account, member) = (opened.person.account(), opened.person.member);
    app.dismiss(&member, &Dismissal::SignedOutEverywhere).await;
    Ok(Created(BotInfo { token: opened.token.reveal().to_owned(), account, member }))
}
