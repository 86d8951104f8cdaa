//! Bans from the whole server.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    auth::Signed,
    envelope::{Failure, Refused},
    extract::{Body, Segments},
};
use crate::{accounts::AccountError, app::App, moderation::Actor, people::Dismissal};

/// The longest time that is not for ever, s.
const LONGEST_SECONDS: u64 = 366 * 24 * 3600;

/// Whom.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only its description is used")]
struct BannedParam {
    /// The member's public ID.
    #[param(value_type = String, pattern = "^[0-9a-f]{16}$")]
    member: String,
}

/// For how long.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct BanSpan {
    /// Absent for ever.
    seconds: Option<u64>,
}

/// Keeps a member out: their connections on all replicas end.
#[utoipa::path(
    put,
    path = "/api/v1/bans/{member}",
    tag = "moderation",
    params(BannedParam),
    request_body = BanSpan,
    responses((status = 204, description = "They may not be here."), Refused)
)]
pub async fn ban(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments(member): Segments<String>,
    Body(BanSpan { seconds }): Body<BanSpan>,
) -> Result<StatusCode, Failure> {
    check(&actor, &member)?;
    if seconds.is_some_and(|seconds| !(1..=LONGEST_SECONDS).contains(&seconds)) {
        let detail = "seconds: from 1 to a year; without it, for ever";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_body", detail));
    }
    let span = seconds.map(Duration::from_secs);
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
    if member.len() != 16 || !member.bytes().all(|b| b.is_ascii_hexdigit()) {
        let detail = "a member's ID has 16 hex digits";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_member", detail));
    }
    Ok(())
}
