-- One row per customer: who it is, what it pays, how it fares, and what its gaps put at stake.
-- key: customer_id
-- customer_id text: The customer; the id never changes.
-- name text: Name, from the Salesforce account, else the Zendesk organization, else the Pendo account.
-- domain text: Registrable domain of the company's website; null if it has none of its own.
-- lifecycle text: internal (our own), paying (arr or a running term), churned (a term ended, none runs), else prospect.
-- segment text: Segment, from the field that the settings name, else by the settings' bands of arr; null if unknown.
-- arr decimal: Annual recurring revenue: the field that the settings name, else the won deals whose term runs today.
-- currency text: Currency of every amount in the row, the reporting currency.
-- renewal_date date: Close date of the last won deal + 12 months, until contracts are read; null if never won.
-- owner_name text: Name of the active owner of the Salesforce account; null if there is none.
-- owner_email text: E-mail address of that person.
-- parent_customer_id text: The customer that this one belongs to, by the accounts' parents.
-- salesforce_accounts integer: Salesforce accounts that are this customer.
-- zendesk_organizations integer: Zendesk organizations that are this customer.
-- identity_method text: How its records were found to be one: the least sure of override, declared_id, domain,
--   contact_domain and name; alone for one record.
-- identity_score double: How sure that is, 0 to 1; null for one record.
-- first_seen_at timestamp: When its first record was created in any tool (UTC).
-- url text: Address of the record that the name is from; null in Pendo.
-- open_deals integer: Deals neither won nor lost; null while no deal at all is known.
-- open_deal_amount decimal: Sum of their known amounts; null if none is known.
-- open_tickets integer: Tickets neither solved nor closed; null while no ticket at all is known.
-- tickets_90d integer: Tickets created within the last 90 days; null while no ticket at all is known.
-- escalations_open integer: Open tickets that are escalations by the settings; null while no ticket is known.
-- csat_90d double: Good / (good + bad) ratings of tickets created within the last 90 days, 0 to 1; null if none was
--   rated.
-- open_gaps integer: Gaps that touch it and are not resolved, those that another gap causes left out.
-- money_at_stake decimal: Of these gaps, the largest arr stake plus per deal the largest pipeline stake; null if
--   unknown.
-- picture_complete boolean: Whether nothing is missing from its picture; null for our own company.
-- picture_missing json: What is missing, a sorted list: arr, renewal_date, segment and zendesk_organization of those
--   who
--   pay; domain, name, owner and salesforce_account of all.
-- pendo_accounts integer: Pendo accounts that are this customer.
with told as (
    -- What no tool has told anything about is unknown, not 0.
    select
        exists (select 1 from unified.deals as deal) as deals,
        exists (select 1 from unified.tickets as ticket) as tickets
    from settings.clock as clock
),

selling as (
    select
        deal.customer_id,
        count(*) as open_deals,
        sum(deal.amount) as open_deal_amount
    from unified.deals as deal
    where deal.is_open and deal.customer_id is not null
    group by deal.customer_id
),

supporting as (
    select
        ticket.customer_id,
        count(*) filter (where ticket.is_open) as open_tickets,
        count(*) filter (where ticket.created_on > clock.today - 90) as tickets_90d,
        count(*) filter (where ticket.is_open and ticket.is_escalated) as escalations_open,
        count(*) filter (where ticket.satisfaction = 'good' and ticket.created_on > clock.today - 90) as good,
        count(ticket.satisfaction) filter (where ticket.created_on > clock.today - 90) as rated
    from unified.tickets as ticket
    cross join settings.clock as clock
    where ticket.customer_id is not null
    group by ticket.customer_id
),

open_gaps as (
    select
        gap.customer_id,
        count(*) as gaps,
        max(case when gap.stake_kind = 'arr' then gap.stake_amount end) as arr_at_stake
    from unified.gaps as gap
    where gap.status <> 'resolved' and gap.suppressed_by is null and gap.customer_id is not null
    group by gap.customer_id
),

stakes as (
    select
        gap.customer_id,
        max(gap.stake_amount) as amount
    from unified.gaps as gap
    where
        gap.status <> 'resolved'
        and gap.suppressed_by is null
        and gap.customer_id is not null
        and gap.stake_kind = 'pipeline'
    group by gap.customer_id, gap.entity_type, gap.entity_id
),

staked as (
    select
        stakes.customer_id,
        sum(stakes.amount) as pipeline_at_stake
    from stakes
    group by stakes.customer_id
),

missing as (
    select
        profile.customer_id,
        concat_ws(
            ',',
            case when profile.lifecycle = 'paying' and profile.arr is null then '"arr"' end,
            case when profile.domain is null then '"domain"' end,
            case when profile.name is null then '"name"' end,
            case when profile.owner_name is null and profile.owner_email is null then '"owner"' end,
            case when profile.lifecycle = 'paying' and profile.renewal_date is null then '"renewal_date"' end,
            case when profile.salesforce_accounts = 0 then '"salesforce_account"' end,
            case when profile.lifecycle = 'paying' and profile.segment is null then '"segment"' end,
            case
                when profile.lifecycle = 'paying' and profile.zendesk_organizations = 0 then '"zendesk_organization"'
            end
        ) as things
    from unified.customer_profiles as profile
    where profile.lifecycle <> 'internal'
)

select
    profile.customer_id,
    profile.name,
    profile.domain,
    profile.lifecycle,
    profile.segment,
    profile.arr,
    profile.currency,
    profile.renewal_date,
    profile.owner_name,
    profile.owner_email,
    profile.parent_customer_id,
    profile.salesforce_accounts,
    profile.zendesk_organizations,
    profile.identity_method,
    profile.identity_score,
    profile.first_seen_at,
    profile.url,
    case when told.deals then coalesce(selling.open_deals, 0) end as open_deals,
    case
        when told.deals and selling.customer_id is null then 0
        else selling.open_deal_amount
    end as open_deal_amount,
    case when told.tickets then coalesce(supporting.open_tickets, 0) end as open_tickets,
    case when told.tickets then coalesce(supporting.tickets_90d, 0) end as tickets_90d,
    case when told.tickets then coalesce(supporting.escalations_open, 0) end as escalations_open,
    cast(supporting.good as double) / nullif(supporting.rated, 0) as csat_90d,
    coalesce(open_gaps.gaps, 0) as open_gaps,
    case
        when open_gaps.arr_at_stake is not null or staked.pipeline_at_stake is not null
            then coalesce(open_gaps.arr_at_stake, 0) + coalesce(staked.pipeline_at_stake, 0)
    end as money_at_stake,
    missing.things = '' as picture_complete,
    '[' || missing.things || ']' as picture_missing,
    profile.pendo_accounts
from unified.customer_profiles as profile
cross join told
left join selling on selling.customer_id = profile.customer_id
left join supporting on supporting.customer_id = profile.customer_id
left join open_gaps on open_gaps.customer_id = profile.customer_id
left join staked on staked.customer_id = profile.customer_id
left join missing on missing.customer_id = profile.customer_id
