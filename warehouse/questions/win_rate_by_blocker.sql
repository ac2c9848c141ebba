-- How often do we win with a blocker in the deal, and how often without?
-- Two rows at most; deals closed within 12 months; win rates from 0 to 1, by number and by amount.
with today as (
    select max(built.today) as today
    from unified.tables as built
)

select
    deal.has_blocker,
    count(*) filter (where deal.is_won) as won,
    count(*) filter (where deal.is_lost) as lost,
    cast(count(*) filter (where deal.is_won) as double precision) / count(*) as win_rate,
    cast(coalesce(sum(deal.amount) filter (where deal.is_won), 0) as double precision)
    / nullif(cast(sum(deal.amount) as double precision), 0) as win_rate_by_amount
from unified.deals as deal
cross join today
where not deal.is_open and deal.close_date > cast(today.today - interval '12 months' as date)
group by deal.has_blocker
order by deal.has_blocker
