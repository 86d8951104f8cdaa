//! Bans from the whole server.

use axum::{extract::State, http::StatusCode};
use utoipa::IntoParams;

use super::{
    auth::Signed,
    envelope::{Failure, Refused},
    extract::{Body, Segments, Span, checked_member},
};
use crate::{accounts::AccountError, app::App, moderation::Actor, people::Dismissal};

/// Whom.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only its description is used")]
struct BannedParam {
    /// The member's public ID.
    #[param(value_type = String, pattern = "^[0-9a-f]{16}$")]
    member: String,
}

/// Keeps a member out: their connections on all replicas end.
#[utoipa::path(
    put,
    path = "/api/v1/bans/{member}",
    tag = "moderation",
    params(BannedParam),
    request_body = Span,
    responses((status = 204, description = "They may not be here."), Refused)
)]
pub async fn ban(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments(member): Segments<String>,
    Body(span): Body<Span>,
) -> Result<StatusCode, Failure> {
    check(&actor, &member)?;
    let span = span.checked()?;
    if !app.accounts.ban(&member, span).await.map_err(AccountError::from)? {
        let detail = "as many people are banned as can be";
        return Err(Failure::new(StatusCode::INSUFFICIENT_STORAGE, "too_many_bans", detail));
    }
    app.dismiss(&member, &Dismissal::Banned).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a member come again.
#[utoipa::path(
    delete,
    path = "/api/v1/bans/{member}",
    tag = "moderation",
    params(BannedParam),
    responses((status = 204, description = "They may come again."), Refused)
)]
pub async fn unban(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments(member): Segments<String>,
) -> Result<StatusCode, Failure> {
    check(&actor, &member)?;
    app.accounts.unban(&member).await.map_err(AccountError::from)?;
    Ok(StatusCode::NO_CONTENT)
}

fn check(actor: &Actor, member: &str) -> Result<(), Failure> {
    if !actor.has_power {
        let detail = "only those who moderate everywhere may do that";
        return Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    checked_member(member)
}
