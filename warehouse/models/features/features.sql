-- One row per feature, with who asks for it and what hangs on it. A customer or a deal counts once in every figure.
-- Demand counts active evidence of others than our own company. A figure is null while nothing at all is known of its kind:
-- no evidence of a customer, no ticket, no deal that names a blocker, no lost deal that names a reason.
-- key: feature_id
-- feature_id text: The feature: jira: and the id of its issue.
-- name text: The issue's title.
-- product_area text: Product area, from the field that the settings name.
-- status text: requested, planned (not begun, with a due date or a version), in_progress, shipped or declined.
-- jira_key text: Key of the issue.
-- jira_url text: Address of the issue in Jira.
-- owner text: Name of the issue's assignee; null if there is none.
-- owner_email text: E-mail address of that person; null if hidden.
-- requested_at timestamp: When the issue was created (UTC).
-- shipped_at timestamp: Day on which its first version was released, else the last change into done (UTC); null unless
--   shipped.
-- target_date date: Due date, else the day on which its first version is to be released.
-- lead_time_days double: Days from creation to the last change into done, shipped or declined; null if not done.
-- customers_requesting integer: Customers with active evidence, paying or not.
-- paying_requesting integer: Those of them that pay now.
-- prospects_requesting integer: Those of them that are prospects now.
-- arr_requesting decimal: Sum of the known arr of paying_requesting, in the reporting currency; null if none is known.
-- arr_at_risk decimal: Of that, arr of customers with critical evidence, or important evidence and a renewal due within
--   the
--   set days (until health is measured).
-- pipeline_blocked decimal: Sum of the known amounts of open deals whose blocker is this feature; null if none is
--   known.
-- pipeline_blocked_weighted decimal: The same by amount × probability / 100.
-- lost_to_gap_12m decimal: Sum of the known amounts of deals lost within 12 months for lack of this feature.
-- survival_rate double: Won / (won + lost) among closed deals that named it, 0 to 1; null if none did.
-- tickets integer: Tickets linked to it, of any age.
-- evidence_coverage double: Share of its evidence whose customer and arr are known, 0 to 1; null without evidence.
-- open_bugs integer: Bugs that serve it and are not done.
-- open_gaps integer: Gaps that touch it and are not resolved, those that another gap causes left out.
-- money_at_stake decimal: Of these gaps, per customer the largest arr stake plus per deal the largest pipeline stake.
with told as (
    -- What nobody has told anything about, or no field is mapped for, is unknown, not 0.
    select
        exists (select 1 from unified.evidence as evidence where evidence.customer_id is not null) as demand,
        exists (select 1 from unified.tickets as ticket) as tickets,
        exists (select 1 from unified.deals as deal where deal.has_blocker) as blockers,
        exists (
            select 1
            from unified.deals as deal
            where deal.is_lost and (deal.loss_reason is not null or deal.has_blocker)
        ) as losses
    from settings.clock as clock
),

voices as (
    select
        evidence.feature_id,
        profile.customer_id,
        profile.lifecycle,
        profile.arr,
        bool_or(evidence.severity = 'critical')
        or (
            bool_or(evidence.severity = 'important')
            and coalesce(bool_or(profile.renewal_date <= clock.today + cast(options.renewal_days as integer)), false)
        ) as at_risk
    from unified.evidence as evidence
    join unified.customer_profiles as profile on profile.customer_id = evidence.customer_id
    cross join settings.clock as clock
    cross join settings.options as options
    where evidence.active and evidence.feature_id is not null and profile.lifecycle <> 'internal'
    group by evidence.feature_id, profile.customer_id, profile.lifecycle, profile.arr
),

demand as (
    select
        voices.feature_id,
        count(*) as customers,
        count(*) filter (where voices.lifecycle = 'paying') as paying,
        count(*) filter (where voices.lifecycle = 'prospect') as prospects,
        sum(voices.arr) filter (where voices.lifecycle = 'paying') as arr,
        count(*) filter (where voices.lifecycle = 'paying' and voices.at_risk) as paying_at_risk,
        sum(voices.arr) filter (where voices.lifecycle = 'paying' and voices.at_risk) as arr_at_risk
    from voices
    group by voices.feature_id
),

blocked as (
    select
        deal.blocker_feature_id as feature_id,
        sum(deal.amount) as amount,
        sum(deal.amount_weighted) as amount_weighted
    from unified.deals as deal
    where deal.is_open and deal.blocker_feature_id is not null
    group by deal.blocker_feature_id
),

lost as (
    select
        deal.loss_feature_id as feature_id,
        sum(deal.amount) as amount
    from unified.deals as deal
    cross join settings.clock as clock
    where
        deal.is_lost
        and deal.loss_feature_id is not null
        and deal.close_date > cast(clock.today - interval 12 month as date)
    group by deal.loss_feature_id
),

closed as (
    select distinct
        evidence.feature_id,
        deal.deal_id,
        deal.is_won
    from unified.evidence as evidence
    join unified.deals as deal on deal.tool = evidence.tool and deal.deal_id = evidence.record_id
    where evidence.record_type = 'opportunity' and evidence.feature_id is not null and not deal.is_open
),

survived as (
    select
        closed.feature_id,
        cast(count(*) filter (where closed.is_won) as double) / count(*) as survival_rate
    from closed
    group by closed.feature_id
),

heard as (
    select
        evidence.feature_id,
        count(*) filter (where evidence.record_type = 'ticket') as tickets,
        cast(count(profile.arr) as double) / count(*) as evidence_coverage
    from unified.evidence as evidence
    left join unified.customer_profiles as profile on profile.customer_id = evidence.customer_id
    where evidence.feature_id is not null
    group by evidence.feature_id
),

bugs as (
    select
        issue.feature_id,
        count(*) as open_bugs
    from unified.issues as issue
    where issue.is_bug and not issue.is_done and issue.feature_id is not null
    group by issue.feature_id
),

open_gaps as (
    select
        gap.feature_id,
        count(*) as gaps
    from unified.gaps as gap
    where gap.status <> 'resolved' and gap.suppressed_by is null and gap.feature_id is not null
    group by gap.feature_id
),

stakes as (
    select
        gap.feature_id,
        max(gap.stake_amount) as amount
    from unified.gaps as gap
    where
        gap.status <> 'resolved'
        and gap.suppressed_by is null
        and gap.feature_id is not null
        and gap.stake_kind in ('arr', 'pipeline')
    group by
        gap.feature_id,
        gap.stake_kind,
        case
            when gap.stake_kind = 'arr' and gap.customer_id is not null then gap.customer_id
            else gap.entity_type || '/' || gap.entity_id
        end
),

staked as (
    select
        stakes.feature_id,
        sum(stakes.amount) as money_at_stake
    from stakes
    group by stakes.feature_id
)

select
    profile.feature_id,
    profile.name,
    profile.product_area,
    profile.status,
    profile.jira_key,
    profile.jira_url,
    profile.owner,
    profile.owner_email,
    profile.requested_at,
    profile.shipped_at,
    profile.target_date,
    profile.lead_time_days,
    case when told.demand then coalesce(demand.customers, 0) end as customers_requesting,
    case when told.demand then coalesce(demand.paying, 0) end as paying_requesting,
    case when told.demand then coalesce(demand.prospects, 0) end as prospects_requesting,
    case when told.demand and coalesce(demand.paying, 0) = 0 then 0 else demand.arr end as arr_requesting,
    case when told.demand and coalesce(demand.paying_at_risk, 0) = 0 then 0 else demand.arr_at_risk end as arr_at_risk,
    case when told.blockers and blocked.feature_id is null then 0 else blocked.amount end as pipeline_blocked,
    case
        when told.blockers and blocked.feature_id is null then 0
        else blocked.amount_weighted
    end as pipeline_blocked_weighted,
    case when told.losses and lost.feature_id is null then 0 else lost.amount end as lost_to_gap_12m,
    survived.survival_rate,
    case when told.tickets then coalesce(heard.tickets, 0) end as tickets,
    heard.evidence_coverage,
    coalesce(bugs.open_bugs, 0) as open_bugs,
    coalesce(open_gaps.gaps, 0) as open_gaps,
    staked.money_at_stake
from unified.feature_profiles as profile
cross join told
left join demand on demand.feature_id = profile.feature_id
left join blocked on blocked.feature_id = profile.feature_id
left join lost on lost.feature_id = profile.feature_id
left join survived on survived.feature_id = profile.feature_id
left join heard on heard.feature_id = profile.feature_id
left join bugs on bugs.feature_id = profile.feature_id
left join open_gaps on open_gaps.feature_id = profile.feature_id
left join staked on staked.feature_id = profile.feature_id
