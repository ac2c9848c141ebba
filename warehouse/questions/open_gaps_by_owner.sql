-- Who can close which gaps, and what is at stake?
-- One row per owner and rule; a customer's arr counts once in a row, and so does a deal's amount.
with stakes as (
    select
        gap.owner,
        gap.rule,
        max(gap.stake_amount) as amount
    from unified.gaps as gap
    where gap.status <> 'resolved' and gap.suppressed_by is null and gap.stake_kind in ('arr', 'pipeline')
    group by
        gap.owner,
        gap.rule,
        gap.stake_kind,
        case when gap.stake_kind = 'arr' then gap.customer_id else gap.entity_type || '/' || gap.entity_id end
),

staked as (
    select
        stakes.owner,
        stakes.rule,
        sum(stakes.amount) as money_at_stake
    from stakes
    group by stakes.owner, stakes.rule
)

select
    gap.owner,
    gap.rule,
    count(*) as open_gaps,
    count(*) filter (where gap.severity = 'critical') as critical,
    min(gap.first_seen_at) as oldest,
    staked.money_at_stake
from unified.gaps as gap
left join staked on staked.owner = gap.owner and staked.rule = gap.rule
where gap.status <> 'resolved' and gap.suppressed_by is null
group by gap.owner, gap.rule, staked.money_at_stake
order by staked.money_at_stake desc nulls last, open_gaps desc, gap.owner, gap.rule
