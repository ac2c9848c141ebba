-- One row per thing that somebody outside the product team said or did, and feature it speaks for.
-- A thing that speaks for several features has several rows; one that is linked to none has one, without a feature.
-- key: evidence_id
-- evidence_id text: Tool, type, id, kind and feature, joined by slashes.
-- tool text: The tool that holds the record.
-- record_type text: ticket, opportunity or issue.
-- record_id text: Id of the record.
-- url text: Address of the record in its tool.
-- kind text: ticket, inbound_question (a colleague's ticket), deal_blocker (of an open or won deal), deal_loss,
--   deal_mention (a key in the deal's texts), or issue (one that names a customer).
-- customer_id text: The customer who speaks; null if unknown.
-- feature_id text: The feature; null while it is not linked to one.
-- issue_id text: The issue by which it is linked to the feature.
-- link_method text: field (of the deal or ticket), issue_link (a link or a parent), declared or key_in_text; null if
--   not linked.
-- link_confidence double: How sure the link is: field and declared 1, issue_link 0.9, key_in_text 0.7.
-- paying_at_time boolean: Whether the customer had a won term then; null if unknown or before its first deal.
-- severity text: critical (blocks an open deal, or urgent), important (high priority, or a lost deal) or nice.
-- quote text: What was said, at most 200 characters.
-- occurred_at timestamp: When the record was created (UTC), for a lost deal when it closed.
-- active boolean: Whether it still counts: not solved as declined, its deal open or closed within the set months, its
--   feature not shipped before it.
with items as (
    select
        ticket.tool,
        'ticket' as record_type,
        ticket.ticket_id as record_id,
        ticket.url,
        case when ticket.is_inbound_question then 'inbound_question' else 'ticket' end as kind,
        ticket.customer_id,
        case ticket.priority when 'urgent' then 'critical' when 'high' then 'important' else 'nice' end as severity,
        ticket.excerpt as quote,
        ticket.created_at as occurred_at,
        ticket.created_on as occurred_on,
        not ticket.is_open as solved,
        false as lapsed
    from unified.tickets as ticket
    union all
    select
        deal.tool,
        'opportunity' as record_type,
        deal.deal_id as record_id,
        deal.url,
        'deal_blocker' as kind,
        deal.customer_id,
        case when deal.is_open then 'critical' else 'nice' end as severity,
        left(coalesce(deal.next_step, deal.name), 200) as quote,
        deal.created_at as occurred_at,
        deal.created_on as occurred_on,
        false as solved,
        not deal.is_open and not coalesce(
            deal.close_date > cast(clock.today - options.evidence_closed_months * interval 1 month as date), false
        ) as lapsed
    from unified.deals as deal
    cross join settings.options as options
    cross join settings.clock as clock
    where deal.has_blocker and not deal.is_lost
    union all
    select
        deal.tool,
        'opportunity' as record_type,
        deal.deal_id as record_id,
        deal.url,
        'deal_loss' as kind,
        deal.customer_id,
        'important' as severity,
        left(coalesce(deal.loss_reason, deal.blocker), 200) as quote,
        cast(deal.close_date as timestamptz) as occurred_at,
        deal.close_date as occurred_on,
        false as solved,
        not coalesce(
            deal.close_date > cast(clock.today - options.evidence_closed_months * interval 1 month as date), false
        ) as lapsed
    from unified.deals as deal
    cross join settings.options as options
    cross join settings.clock as clock
    where deal.is_lost and (deal.loss_reason is not null or deal.has_blocker)
    union all
    select
        deal.tool,
        'opportunity' as record_type,
        deal.deal_id as record_id,
        deal.url,
        'deal_mention' as kind,
        deal.customer_id,
        'nice' as severity,
        left(coalesce(deal.next_step, deal.name), 200) as quote,
        deal.created_at as occurred_at,
        deal.created_on as occurred_on,
        false as solved,
        not deal.is_open and not coalesce(
            deal.close_date > cast(clock.today - options.evidence_closed_months * interval 1 month as date), false
        ) as lapsed
    from unified.deals as deal
    cross join settings.options as options
    cross join settings.clock as clock
    where exists (
        select 1
        from sync.text_keys as mention
        join unified.issue_keys as known on known.issue_key = mention.issue_key
        join unified.issues as issue on issue.issue_id = known.issue_id
        where
            mention.tool = deal.tool
            and mention.record_type = 'opportunity'
            and mention.record_id = deal.deal_id
            and issue.feature_id is not null
    )
    union all
    select
        issue.tool,
        'issue' as record_type,
        issue.issue_id as record_id,
        issue.url,
        'issue' as kind,
        issue.customer_id,
        case lower(issue.priority) when 'highest' then 'critical' when 'high' then 'important' else 'nice' end
            as severity,
        left(issue.summary, 200) as quote,
        issue.created_at as occurred_at,
        cast(issue.created_at at time zone clock.timezone as date) as occurred_on,
        false as solved,
        issue.is_declined as lapsed
    from unified.issues as issue
    cross join settings.clock as clock
    where issue.customer is not null
),

claims as (
    select
        ticket.tool,
        'ticket' as record_type,
        ticket.ticket_id as record_id,
        case when ticket.is_inbound_question then 'inbound_question' else 'ticket' end as kind,
        link.issue_id,
        link.feature_id,
        'issue_link' as link_method
    from unified.tickets as ticket
    join unified.ticket_issue_links as link
        on link.ticket_tool = ticket.tool and link.ticket_id = ticket.ticket_id and link.removed_at is null
    union all
    select
        ticket.tool,
        'ticket' as record_type,
        ticket.ticket_id as record_id,
        case when ticket.is_inbound_question then 'inbound_question' else 'ticket' end as kind,
        named.issue_id,
        named.feature_id,
        'field' as link_method
    from unified.tickets as ticket
    join unified.named_issues as named
        on named.tool = ticket.tool and named.record_type = 'ticket' and named.record_id = ticket.ticket_id
    union all
    select
        ticket.tool,
        'ticket' as record_type,
        ticket.ticket_id as record_id,
        case when ticket.is_inbound_question then 'inbound_question' else 'ticket' end as kind,
        issue.issue_id,
        issue.feature_id,
        'key_in_text' as link_method
    from unified.tickets as ticket
    join sync.text_keys as mention
        on mention.tool = ticket.tool and mention.record_type = 'ticket' and mention.record_id = ticket.ticket_id
    join unified.issue_keys as known on known.issue_key = mention.issue_key
    join unified.issues as issue on issue.issue_id = known.issue_id
    union all
    select
        deal.tool,
        'opportunity' as record_type,
        deal.deal_id as record_id,
        case when deal.is_lost then 'deal_loss' else 'deal_blocker' end as kind,
        case when deal.is_lost then deal.loss_issue_id else deal.blocker_issue_id end as issue_id,
        case when deal.is_lost then deal.loss_feature_id else deal.blocker_feature_id end as feature_id,
        'field' as link_method
    from unified.deals as deal
    union all
    select
        deal.tool,
        'opportunity' as record_type,
        deal.deal_id as record_id,
        'deal_mention' as kind,
        issue.issue_id,
        issue.feature_id,
        'key_in_text' as link_method
    from unified.deals as deal
    join sync.text_keys as mention
        on mention.tool = deal.tool and mention.record_type = 'opportunity' and mention.record_id = deal.deal_id
    join unified.issue_keys as known on known.issue_key = mention.issue_key
    join unified.issues as issue on issue.issue_id = known.issue_id
    union all
    select
        issue.tool,
        'issue' as record_type,
        issue.issue_id as record_id,
        'issue' as kind,
        issue.issue_id,
        issue.feature_id,
        case when issue.is_feature then 'declared' else 'issue_link' end as link_method
    from unified.issues as issue
    where issue.customer is not null
),

trusted as (
    select
        claims.tool,
        claims.record_type,
        claims.record_id,
        claims.kind,
        claims.issue_id,
        claims.feature_id,
        claims.link_method,
        cast(
            case claims.link_method when 'issue_link' then 0.9 when 'key_in_text' then 0.7 else 1.0 end as double
        ) as link_confidence
    from claims
    where claims.feature_id is not null
),

-- Of several ways from one thing to one feature, the surest stands.
ways as (
    select
        trusted.tool,
        trusted.record_type,
        trusted.record_id,
        trusted.kind,
        trusted.issue_id,
        trusted.feature_id,
        trusted.link_method,
        trusted.link_confidence,
        row_number() over (
            partition by trusted.tool, trusted.record_type, trusted.record_id, trusted.kind, trusted.feature_id
            order by trusted.link_confidence desc nulls last, trusted.issue_id
        ) as place
    from trusted
),

histories as (
    select
        deal.customer_id,
        min(least(deal.created_on, deal.close_date)) as first_deal_on
    from unified.deals as deal
    where deal.customer_id is not null
    group by deal.customer_id
),

paying as (
    select distinct
        items.customer_id,
        items.occurred_on
    from items
    join unified.deals as deal
        on deal.customer_id = items.customer_id
        and deal.term_start <= items.occurred_on
        and deal.term_end > items.occurred_on
)

select
    concat_ws(
        '/', items.tool, items.record_type, items.record_id, items.kind, coalesce(ways.feature_id, 'unlinked')
    ) as evidence_id,
    items.tool,
    items.record_type,
    items.record_id,
    items.url,
    items.kind,
    items.customer_id,
    ways.feature_id,
    ways.issue_id,
    ways.link_method,
    ways.link_confidence,
    case
        when items.occurred_on >= histories.first_deal_on then paying.customer_id is not null
    end as paying_at_time,
    items.severity,
    items.quote,
    items.occurred_at,
    not items.lapsed
    and not (items.solved and coalesce(issue.is_declined or feature.status = 'declined', false))
    and coalesce(feature.shipped_at >= items.occurred_at, true) as active
from items
left join ways
    on ways.tool = items.tool
    and ways.record_type = items.record_type
    and ways.record_id = items.record_id
    and ways.kind = items.kind
    and ways.place = 1
left join unified.issues as issue on issue.issue_id = ways.issue_id
left join unified.feature_profiles as feature on feature.feature_id = ways.feature_id
left join histories on histories.customer_id = items.customer_id
left join paying on paying.customer_id = items.customer_id and paying.occurred_on = items.occurred_on
