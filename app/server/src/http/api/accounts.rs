//! Accounts: made by whoever wants the name, and given a role by an operator.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
};
use rollcall_protocol::Mark;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    auth::{Operator, check_origin, too_many_requests},
    envelope::{Created, Data, Envelope, Failure, Refused},
    extract::{Body, Segments},
};
use crate::{app::App, http::client_address, people::Dismissal, session::check_name};

/// A name and its password.
#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    /// The name, as others see it.
    #[schema(min_length = 1, max_length = 32, format = "display-name")]
    pub name: String,
    /// The password: 8 to 256 bytes.
    #[schema(format = "password")]
    pub password: String,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountInfo {
    /// Its name, as others see it.
    pub name: String,
    /// Its public ID.
    pub member: String,
    /// What is known of it.
    pub role: Mark,
}

/// Which account.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only its description is used")]
struct NameParam {
    /// The account's name.
    #[param(value_type = String, min_length = 1, max_length = 32)]
    name: String,
}

/// Which role.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RoleWish {
    role: Role,
}

/// What an account can be made. Bots are made by `POST /api/v1/bots`.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An account as any other.
    Registered,
    /// One that moderates all rooms.
    Moderator,
}

impl From<Role> for Mark {
    fn from(role: Role) -> Self {
        match role {
            Role::Registered => Self::Registered,
            Role::Moderator => Self::Moderator,
        }
    }
}

/// Refuses what cannot be a name.
///
/// # Errors
/// 400, `bad_name`.
pub fn checked_name(name: &str) -> Result<(), Failure> {
    check_name(name).map_err(|detail| Failure::new(StatusCode::BAD_REQUEST, "bad_name", detail))
}

/// Makes an account: the name, and all that look like it, are its owner's from then on.
#[utoipa::path(
    post,
    path = "/api/v1/accounts",
    tag = "accounts",
    request_body = Credentials,
    responses((status = 201, description = "The account.", body = Envelope<AccountInfo>), Refused)
)]
pub async fn create(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(Credentials { name, password }): Body<Credentials>,
) -> Result<Created<AccountInfo>, Failure> {
    check_origin(&app.config, &headers)?;
    checked_name(&name)?;
    let address = client_address(&app, peer, &headers);
    app.rates.allow_sign_in(address).map_err(too_many_requests)?;
    let member = app.accounts.create(&name, password).await?;
    Ok(Created(AccountInfo { name, member, role: Mark::Registered }))
}

/// Gives an account a role. Its connections come again with that.
#[utoipa::path(
    put,
    path = "/api/v1/accounts/{name}/role",
    tag = "operators",
    params(NameParam),
    request_body = RoleWish,
    responses((status = 200, description = "The account.", body = Envelope<AccountInfo>), Refused)
)]
pub async fn set_role(
    State(app): State<App>,
    Operator: Operator,
    Segments(name): Segments<String>,
    Body(RoleWish { role }): Body<RoleWish>,
) -> Result<Data<AccountInfo>, Failure> {
    let role = role.into();
    let (member, name) = app.accounts.set_role(&name, role).await?;
    app.dismiss(&member, &Dismissal::Changed).await;
    Ok(Data(AccountInfo { name, member, role }))
}
