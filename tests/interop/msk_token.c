/* msk_token REGION AGENT SECONDS: the token that MSK is told at that Unix time, for the keys of the
 * environment. */
#include "base/time.h"
#include "net/aws_msk.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);
	struct aws_keys keys;
	struct err err;
	struct buf out;
	int64_t expires_s;
	enum err_code code = argc == 4 ? aws_credentials_get(credentials, &keys, &err)
				       : err_set(&err, ERR_USAGE, "what?");

	buf_init(&out, AWS_MSK_TOKEN_MAX);
	if (code == ERR_OK)
		code = aws_msk_token(&keys, argv[1], argv[2], strtoll(argv[3], NULL, 10), &out,
				     &expires_s, &err);
	if (code == ERR_OK)
		(void)printf("%s\n%lld\n", buf_cstr(&out), (long long)expires_s * 1000);
	else
		(void)fprintf(stderr, "%s\n", err.msg);
	buf_release(&out);
	aws_credentials_free(credentials);
	return code != ERR_OK;
}
