-- title: Clicks on each page
-- description: How often each page was asked for, the most wanted first.
-- chart: bar
SELECT page, count(*) AS clicks
FROM clicks
GROUP BY page
ORDER BY clicks DESC, page
