/*
 * aws_endpoint.h - where a service is: AWS's own hosts, or a URL that is given.
 *
 * Threads: any.
 */
#ifndef NET_AWS_ENDPOINT_H
#define NET_AWS_ENDPOINT_H

#include "base/buf.h"

struct aws_endpoint {
	bool secure;			/* https */
	char host[300];			/* as the header "Host" has it: without a usual port */
	char path[300];			/* before that of a call; "" or "/…" without '/' at its end */
};

/* ERR_USAGE: no http or https URL of a host, or one with a query or a user. */
MUST_USE enum err_code aws_endpoint_read(const char *url, struct aws_endpoint *ret_endpoint,
					 struct err *err);
/* ERR_USAGE: no name that a region can have. */
MUST_USE enum err_code aws_check_region(const char *region, struct err *err);
/* aws_host() is in aws_client.h. */

#endif
